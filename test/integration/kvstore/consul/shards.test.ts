import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import type { ConsulStore, ConsulStoreOptions } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { createLogger } from '../../../../runtime/log/index.ts';
import { type ConsulProcess, startConsul } from '../../../support/consul.ts';
import { needs } from '../../../support/probe.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, writeMany } from '../etcd/mirror.ts';
import { clientOf } from './support.ts';

jest.setTimeout(120_000);

/** Everything is large here. */
const small: Partial<ConsulStoreOptions> = { shardKeys: 16, maxShards: 12 };

needs('consul')('A large prefix in Consul, followed in parts', () => {
  let server: ConsulProcess;
  let store: ConsulStore;
  let prefixes = 0;
  beforeAll(async () => {
    server = await startConsul({ mode: 'disk' });
    store = clientOf(server, small);
  }, 600_000);
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const newPrefix = (): string => `t${++prefixes}/state/ip/`;
  const synced = async (prefix: string, through: ConsulStore = store): Promise<Mirror> => {
    const mirror = new Mirror(through, prefix, { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    return mirror;
  };
  const stranger = async (method: 'PUT' | 'DELETE', key: string, value = ''): Promise<void> => {
    expect((await server.call(method, `/v1/kv/${encodeURIComponent(key)}`, value)).status).toBe(200);
  };

  test.each([
    { whose: 'ours, told by the journal', journal: true },
    { whose: 'ours, without a journal', journal: false },
  ])('shows changes of others and $whose, each once, and ends as a fresh listing', async ({ journal }) => {
    const random = new Random(journal ? 4 : 5);
    const prefix = newPrefix();
    await using writer = clientOf(server, { ...small, journal });
    await using reader = clientOf(server, { ...small, journal });
    const lease = await writer.grantLease({ ttlSeconds: 60 });
    await writeMany(writer, `${prefix}stable/`, 200);
    await using mirror = await synced(prefix, reader);
    const keyOf = (): string => `${prefix}${random.pick(['10.0.', '10.1.', 'fd00::', 'other/'])}${random.int(60)}`;
    const change = async (step: number): Promise<void> => {
      const key = keyOf();
      const value = `${step}`.padEnd(40, '.');
      const what = random.int(10);
      if (what < 3) await writer.put(key, value, { lease: lease.id });
      else if (what < 4) await writer.put(key, value);
      else if (what < 6) await writer.delete(key);
      else if (what < 7) await stranger('DELETE', key);
      else if (what < 9) await stranger('PUT', key, value);
      else
        await writer.transact({
          when: [],
          then: [...new Set([key, keyOf(), keyOf()])].map((one) => ({
            type: 'put',
            key: one,
            value,
            lease: lease.id,
          })),
        });
    };
    for (let step = 0; step < 600; step += 4)
      await Promise.all([change(step), change(step + 1), change(step + 2), change(step + 3)]);
    await mirror.agreesWith(store, prefix);
    // A session that ends takes its keys along, and no journal tells.
    await lease.revoke();
    await mirror.agreesWith(store, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.live.length).toBeGreaterThan(200);
  });

  test('is planned anew as it grows, shrinks to nothing and grows again', async () => {
    const prefix = newPrefix();
    await writeMany(store, `${prefix}a`, 40);
    await using mirror = await synced(prefix);
    await writeMany(store, `${prefix}b`, 600);
    await mirror.agreesWith(store, prefix);
    await store.deletePrefix(prefix);
    await mirror.until(() => mirror.state.size === 0);
    await writeMany(store, `${prefix}c`, 100);
    await mirror.agreesWith(store, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
  });

  test('shows what a stranger deletes above it, though no part hears of it', async () => {
    const prefix = newPrefix();
    await writeMany(store, prefix, 200);
    await using mirror = await synced(prefix);
    await store.put(`${prefix}7`, 'touched');
    await server.call('DELETE', `/v1/kv/${encodeURIComponent(prefix)}1?recurse`);
    await server.call('DELETE', `/v1/kv/${encodeURIComponent(prefix)}?recurse`);
    await mirror.until(() => mirror.state.size === 0, 30_000);
    await store.put(`${prefix}new`, 'x');
    await mirror.agreesWith(store, prefix);
  });

  test('survives restarts and cut connections, and is told from another store', async () => {
    const prefix = newPrefix();
    await using other = await startConsul({ mode: 'disk' });
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: other.port });
    await using direct = clientOf(other);
    await using through = clientOf(other, { ...small, addresses: [proxy.endpoint] });
    await writeMany(direct, `${prefix}stable/`, 300);
    await using mirror = await synced(prefix, through);
    for (let round = 0; round < 6; round++) {
      proxy.cut();
      await direct.put(`${prefix}round/${round}`, `${round}`);
    }
    await mirror.agreesWith(direct, prefix);
    await other.restart();
    await direct.put(`${prefix}after`, 'x');
    await mirror.agreesWith(direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.watch.counts.removes).toBe(0);
    await other.wipe();
    await writeMany(direct, `${prefix}stable/`, 250, () => 'new');
    await mirror.until(() => mirror.marks.includes('store-replaced'), 60_000);
    await mirror.until(() => mirror.state.size === 250, 60_000);
  });

  test('takes nothing from a journal that lies for longer than an answer takes', async () => {
    const prefix = newPrefix();
    await writeMany(store, prefix, 100);
    await using mirror = await synced(prefix);
    const lie = Buffer.from('a lie').toString('base64');
    const scope = prefix.slice(0, prefix.indexOf('/') + 1);
    await stranger('PUT', `${scope}.isthmus-journal/00`, JSON.stringify([[`${prefix}1invented`, lie, '']]));
    await stranger('PUT', `${scope}.isthmus-journal/01`, 'no note at all');
    await mirror.until(() => !mirror.state.has('1invented') && mirror.live.length > 0, 60_000);
    await mirror.agreesWith(store, prefix);
    expect([...mirror.state.keys()].some((key) => key.includes('journal'))).toBe(false);
  });

  test('warns of more keys than Consul was measured to carry, once, with their number', async () => {
    const prefix = newPrefix();
    const lines: string[] = [];
    const log = createLogger({
      level: 'warn',
      format: 'json',
      clock: systemClock,
      write: (line) => void lines.push(line),
    });
    await using client = clientOf(server, { ...small, log, largePrefixKeys: 100 });
    await writeMany(store, prefix, 90);
    await using mirror = await synced(prefix, client);
    expect(lines).toEqual([]);
    await writeMany(store, `${prefix}more/`, 60);
    await mirror.agreesWith(store, prefix);
    await mirror.until(() => lines.length > 0);
    await store.put(`${prefix}last`, 'x');
    await mirror.agreesWith(store, prefix);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
      expect.objectContaining({ msg: 'Prefix is large for Consul', prefix, hint: expect.stringContaining('etcd') }),
    ]);
  });
});
