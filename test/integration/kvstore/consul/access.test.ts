import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConsulStore, PermissionDeniedError, type Store, openConsulStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { type ConsulProcess, startConsul } from '../../../support/consul.ts';
import { needs } from '../../../support/probe.ts';
import { Mirror } from '../etcd/mirror.ts';
import { clientOf, tokenFor } from './support.ts';

jest.setTimeout(60_000);

const managementToken = '5d6f0c1e-7f3a-4f0b-9c39-2f1f4a1b8e77';
const writerRules =
  'key_prefix "mesh/" { policy = "write" } session_prefix "" { policy = "write" } node "isthmus" { policy = "write" }';

needs('consul')('A Consul that denies by default', () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-consul-access-'));
  const socketPath = join(folder, 'consul.sock');
  let server: ConsulProcess;
  let files = 0;
  const tokenFile = (token: string): string => {
    const path = join(folder, `token-${++files}`);
    writeFileSync(path, `${token}\n`, { mode: 0o600 });
    return path;
  };
  const storeWith = (token: string): ConsulStore => clientOf(server, { tokenFile: tokenFile(token) });

  beforeAll(async () => {
    server = await startConsul({ managementToken, socketPath });
    await using writer = storeWith(managementToken);
    await writer.put('mesh/a', 'x');
    await writer.put('mesh/b', 'x');
    await writer.put('other/a', 'x');
  }, 600_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await server[Symbol.asyncDispose]();
  });

  const listed = async (store: Store, prefix: string): Promise<number> => {
    let count = 0;
    for await (const page of store.list(prefix)) count += page.entries.length;
    return count;
  };
  const watched = async (store: Store, prefix: string): Promise<string[]> => {
    const types: string[] = [];
    for await (const batch of store.listAndWatch(prefix, { signal: new AbortController().signal })) {
      types.push(batch.type);
      if (batch.type === 'synced') break;
    }
    return types;
  };

  test.each([
    { who: 'the anonymous', rules: undefined },
    { who: 'a token without any right', rules: '' },
    { who: 'a token for another prefix', rules: 'key_prefix "other/" { policy = "write" }' },
    { who: 'a token for a part of the prefix', rules: 'key "mesh/a" { policy = "write" }' },
    {
      who: 'a token for all but a part of the prefix',
      rules: 'key_prefix "mesh/" { policy = "write" } key "mesh/b" { policy = "deny" }',
    },
  ])('is never taken for empty or whole by $who', async ({ who, rules }) => {
    const name = who.replaceAll(/\W/g, '-');
    await using store = rules === undefined ? clientOf(server) : storeWith(await tokenFor(server, name, rules));
    await expect(listed(store, 'mesh/')).rejects.toThrow(PermissionDeniedError);
    await expect(watched(store, 'mesh/')).rejects.toThrow(PermissionDeniedError);
    await expect(store.get('mesh/b')).rejects.toThrow(PermissionDeniedError);
    await expect(store.deletePrefix('mesh/')).rejects.toThrow(PermissionDeniedError);
    const reading = store.transact({ when: [], then: [{ type: 'get', key: 'mesh/b' }] });
    await expect(reading).rejects.toThrow(PermissionDeniedError);
    await expect(store.put('mesh/b', 'y')).rejects.toThrow(PermissionDeniedError);
  });

  test('can be watched by who may only read, empty prefixes too', async () => {
    const token = await tokenFor(server, 'reader', 'key_prefix "mesh/" { policy = "read" }');
    await using reader = storeWith(token);
    await using writer = storeWith(managementToken);
    await using mirror = new Mirror(reader, 'mesh/ro/', { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    await writer.put('mesh/ro/a', '1');
    await mirror.until(() => mirror.state.size === 1);
    await writer.delete('mesh/ro/a');
    await mirror.until(() => mirror.state.size === 0);
    await mirror.agreesWith(writer, 'mesh/ro/');
    await expect(reader.put('mesh/a', 'y')).rejects.toThrow(PermissionDeniedError);
    await expect(reader.grantLease({ ttlSeconds: 10 })).rejects.toThrow(PermissionDeniedError);
  });

  test('gives leases to who may write to one node only', async () => {
    await using store = storeWith(await tokenFor(server, 'writer', writerRules));
    const lease = await store.grantLease({ ttlSeconds: 10 });
    await store.put('mesh/leased', 'x', { lease: lease.id });
    expect((await store.get('mesh/leased'))?.lease).toBe(lease.id);
    await lease.revoke();
    expect(await store.get('mesh/leased')).toBeUndefined();
  });

  test('ends the watch of a token that was deleted, rather than telling it that all is gone', async () => {
    const token = await tokenFor(server, 'short-lived', 'key_prefix "mesh/" { policy = "read" }');
    await using store = storeWith(token);
    await using mirror = new Mirror(store, 'mesh/', { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    const { AccessorID } = JSON.parse((await server.call('GET', '/v1/acl/token/self', undefined, token)).text) as {
      AccessorID: string;
    };
    await server.call('DELETE', `/v1/acl/token/${AccessorID}`);
    for (let waited = 0; mirror.error === undefined && waited < 20_000; waited += 50) await systemClock.sleep(50);
    expect(mirror.error).toBeInstanceOf(PermissionDeniedError);
    expect(mirror.state.size).toBeGreaterThanOrEqual(2);
  });

  test('is asked again with the token that the file holds meanwhile', async () => {
    const path = tokenFile('00000000-0000-4000-8000-000000000000');
    await using store = clientOf(server, { tokenFile: path });
    await expect(store.get('mesh/a')).rejects.toThrow(PermissionDeniedError);
    writeFileSync(path, managementToken);
    expect(await store.get('mesh/a')).toBeDefined();
  });

  test('hears the token from the environment, and nobody hears it from us', async () => {
    process.env['ISTHMUS_TEST_CONSUL_TOKEN'] = managementToken;
    try {
      await using store = clientOf(server, { tokenEnvironment: 'ISTHMUS_TEST_CONSUL_TOKEN' });
      expect(await listed(store, 'mesh/')).toBeGreaterThanOrEqual(2);
      expect(JSON.stringify(store.health())).not.toContain(managementToken);
    } finally {
      delete process.env['ISTHMUS_TEST_CONSUL_TOKEN'];
    }
    const secret = 'bad-token-5d6f0c1e';
    await using refused = storeWith(secret);
    const error = await refused.get('mesh/a').catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PermissionDeniedError);
    // Who has to mend it is told where.
    expect((error as Error).message).toMatch(/; the token is the one in \/.*token-\d+$/);
    expect(`${(error as Error).stack} ${String((error as Error).cause)}`).not.toContain(secret);
  });

  test('can be reached over a Unix socket', async () => {
    await using store = openConsulStore({
      addresses: [`unix://${socketPath}`],
      clock: systemClock,
      log: silentLogger,
      tokenFile: tokenFile(managementToken),
    });
    await store.put('mesh/by-socket', 'x');
    expect(store.health()).toMatchObject({ connected: true, endpoint: `unix://${socketPath}` });
    await store.delete('mesh/by-socket');
  });

  test.each([
    `http://user:secret@127.0.0.1:8500`,
    'http://127.0.0.1:8500/?token=secret',
    'ftp://secret',
    'unix://secret',
    'http://127.0.0.1:8500/secret',
  ])('is not given an address that cannot be used: %s', (address) => {
    const open = (): unknown => openConsulStore({ addresses: [address], clock: systemClock, log: silentLogger });
    expect(open).toThrow(TypeError);
    expect(open).not.toThrow(/secret/);
  });
});
