import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { wentWithLease } from '../../../clustermesh/index.ts';
import {
  type EtcdStore,
  PermissionDeniedError,
  openEtcdStore,
  parseEtcdConfig,
  toBytes,
  toText,
} from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { TestAuthority, writeCertificate } from '../../support/certificates.ts';
import { type EtcdProcess, etcdctl, startEtcd } from '../../support/etcd.ts';
import { needs } from '../../support/probe.ts';
import { until } from '../../support/until.ts';

jest.setTimeout(120_000);

const isthmus = join(import.meta.dirname, '../../../bin/isthmus');

needs('etcd')('isthmus store users, on an etcd that asks clients for certificates', () => {
  const ca = new TestAuthority('East CA');
  const stack = new AsyncDisposableStack();
  let folder: string;
  let etcd: EtcdProcess;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'isthmus-users-'));
    stack.defer(() => rm(folder, { recursive: true, force: true }));
    await writeFile(join(folder, 'ca.crt'), ca.cert);
    const server = writeCertificate(folder, 'server', ca.issue({ commonName: 'etcd' }));
    etcd = stack.use(await startEtcd({ tls: { ...server, trustedCaFile: join(folder, 'ca.crt') } }));
    const nobody = await configOf('admin-east');
    await using store = openEtcdStore({ ...parseEtcdConfig(nobody.text, nobody.file), clock, log });
    await store.put('isthmus/v1/nodes/n1', '{"podCIDRs":["10.1.1.0/24"]}');
    await writeFile(join(folder, 'users.yaml'), 'users: [{name: remote-west, role: remote}]\n');
  }, 600_000);
  afterAll(() => stack.disposeAsync());

  /** A configuration by which one is the user of that name. */
  const configOf = async (user: string): Promise<{ readonly file: string; readonly text: string }> => {
    const own = writeCertificate(folder, user, ca.issue({ commonName: user, names: [] }));
    const text = JSON.stringify({
      endpoints: [`https://127.0.0.1:${etcd.securePort}`],
      'trusted-ca-file': join(folder, 'ca.crt'),
      'cert-file': own.certFile,
      'key-file': own.keyFile,
    });
    const file = join(folder, `${user}.yaml`);
    await writeFile(file, text);
    return { file, text };
  };
  const clientOf = async (user: string): Promise<EtcdStore> => {
    const { file, text } = await configOf(user);
    return openEtcdStore({ ...parseEtcdConfig(text, file), clock, log });
  };
  const run = async (user: string, ...args: readonly string[]) => {
    const { file } = await configOf(user);
    const all = ['store', 'users', '--cluster-name', 'east', '--store', `etcd:${file}`, ...args];
    return await new Promise<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>(
      (resolve) => {
        execFile(isthmus, all, (error, stdout, stderr) => resolve({ code: error?.code ?? 0, stdout, stderr }));
      },
    );
  };

  test('says what is missing, makes it, and then has nothing to do', async () => {
    const first = await run('admin-east', '--users-file', join(folder, 'users.yaml'));
    expect(first.stderr).toBe('');
    expect(first.code).toBe(1);
    expect(first.stdout.split('\n')).toEqual(
      expect.arrayContaining([
        'etcdctl role grant-permission remote read cilium/state/ cilium/state0',
        'etcdctl role grant-permission remote read cilium/cluster-config/east',
        'etcdctl role grant-permission agent-n1 write cilium/state/nodes/v1/east/n1',
        'etcdctl user grant-role remote-west remote',
        'etcdctl user grant-role admin-east root',
      ]),
    );
    await using before = await clientOf('nobody');
    expect(await before.get('isthmus/v1/nodes/n1')).toBeDefined();

    const locked = await run('somebody', '--apply', '--enable-auth');
    expect(locked).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('"somebody", who you are, has not the role root'),
    });
    const applied = await run('admin-east', '--users-file', join(folder, 'users.yaml'), '--apply', '--enable-auth');
    expect(applied).toMatchObject({ code: 0, stderr: '' });
    const again = await run(
      'admin-east',
      '--users-file',
      join(folder, 'users.yaml'),
      '--apply',
      '--enable-auth',
      '-o',
      'json',
    );
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ applied: true, steps: [] });
    expect((await run('admin-east', '--users-file', join(folder, 'users.yaml'))).code).toBe(0);
    expect(await run('remote-west')).toMatchObject({ code: 1, stderr: expect.stringContaining('permission denied') });
  });

  test('lets each read and write what it needs, and nothing else', async () => {
    await using admin = await clientOf('admin-east');
    await admin.put('cilium/state/nodes/v1/east/n2', '{}');
    await admin.put('cilium/cluster-config/east', '{}');
    await using west = await clientOf('remote-west');
    expect(await west.get('cilium/state/nodes/v1/east/n2')).toBeDefined();
    expect(await west.get('cilium/cluster-config/east')).toBeDefined();
    expect(await west.get('cilium/.heartbeat')).toBeUndefined();
    for (const key of ['isthmus/v1/nodes/n1', 'cilium/cluster-config/north', 'cilium/cache/nodes/v1/north/x', 'other'])
      await expect(west.get(key)).rejects.toThrow(PermissionDeniedError);
    await expect(west.put('cilium/state/nodes/v1/east/n2', 'x')).rejects.toThrow(PermissionDeniedError);

    await using agent = await clientOf('agent-n1');
    expect(await agent.get('isthmus/v1/nodes/n1')).toBeDefined();
    const lease = await agent.grantLease({ ttlSeconds: 60 });
    const own = [
      'cilium/state/nodes/v1/east/n1',
      'isthmus/v1/own-set/n1',
      'isthmus/v1/held/n1',
      'cilium/state/ip/v1/default/10.1.1.9',
    ];
    for (const key of own) await agent.put(key, '{}', { lease: lease.id });
    for (const key of ['cilium/state/nodes/v1/east/n2', 'isthmus/v1/nodes/n1', 'cilium/cluster-config/east', 'other'])
      await expect(agent.put(key, '{}')).rejects.toThrow(PermissionDeniedError);

    // A reader can tell the end of a lease from a deletion, whatever else was under it.
    const { signal } = new AbortController();
    const [one, other] = ['cilium/state/services/v1/east/a/b', 'cilium/state/services/v1/east/a/c'];
    const leased = await admin.grantLease({ ttlSeconds: 60 });
    for (const key of [one, other, 'isthmus/v1/services/a/b']) await admin.put(key, '{}', { lease: leased.id });
    const { revision: deleted } = await admin.delete(one);
    expect(await wentWithLease(west, { key: toBytes(one), revision: deleted }, signal)).toBe(false);
    await leased.revoke();
    const ended = (await admin.put('other', '')).revision - 1;
    expect(await west.get(other)).toBeUndefined();
    expect(await wentWithLease(west, { key: toBytes(other), revision: ended }, signal)).toBe(true);

    await using local = await clientOf('local-east');
    expect(await local.get('cilium/cache/nodes/v1/north/x')).toBeUndefined();
    await expect(local.get('cilium/state/nodes/v1/east/n2')).rejects.toThrow(PermissionDeniedError);
    await using stranger = await clientOf('nobody');
    await expect(stranger.get('cilium/.heartbeat')).rejects.toThrow(PermissionDeniedError);
  });

  test('takes a peer’s rights away that the file names no more, and leaves other users alone', async () => {
    const { file } = await configOf('admin-east');
    const { endpoints, ...tls } = JSON.parse((await configOf('admin-east')).text) as Record<string, string>;
    const flags = [`--cacert=${tls['trusted-ca-file']}`, `--cert=${tls['cert-file']}`, `--key=${tls['key-file']}`];
    expect(file).toContain('admin-east');
    expect((await etcdctl(String(endpoints), [...flags, 'user', 'add', 'backup', '--no-password'])).code).toBe(0);
    await using west = await clientOf('remote-west');
    expect(await west.get('cilium/state/nodes/v1/east/n2')).toBeDefined();
    await writeFile(join(folder, 'empty.yaml'), 'users: []\n');
    const unasked = await run('admin-east', '--users-file', join(folder, 'empty.yaml'));
    expect(unasked).toMatchObject({ code: 0, stdout: expect.stringContaining('Nothing is missing') });
    const seen: string[] = [];
    const ending = new AbortController();
    const following = (async () => {
      for await (const batch of west.listAndWatch('cilium/state/nodes/', { signal: ending.signal }))
        if (batch.type === 'synced') seen.push('synced');
        else if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'put') seen.push(toText(event.entry.value));
    })().catch(() => undefined);
    await until(() => seen.includes('synced'));
    const pruned = await run('admin-east', '--users-file', join(folder, 'empty.yaml'), '--prune', '--apply');
    expect(pruned).toMatchObject({ code: 0, stdout: expect.stringContaining('etcdctl user delete remote-west\n') });
    await expect(west.get('cilium/state/nodes/v1/east/n2')).rejects.toThrow(PermissionDeniedError);
    // The gap that status names: what was open goes on.
    await using admin = await clientOf('admin-east');
    await admin.put('cilium/state/nodes/v1/east/n2', 'later');
    await until(() => seen.includes('later'));
    ending.abort();
    await following;
    const users = await etcdctl(String(endpoints), [...flags, 'user', 'list']);
    expect(users.stdout.trim().split('\n')).toEqual([
      'admin-east',
      'agent-n1',
      'backup',
      'local',
      'local-east',
      'remote',
      'root',
    ]);
  });
});

needs('etcd')('isthmus store users, on an etcd that anybody may speak to', () => {
  test('does not switch authentication on, since nobody could be anybody then', async () => {
    await using etcd = await startEtcd();
    const result = await new Promise<{ readonly code: unknown; readonly stderr: string }>((resolve) => {
      const args = ['store', 'users', '--cluster-name', 'east', '--store', etcd.endpoint, '--apply', '--enable-auth'];
      execFile(isthmus, args, (error, _stdout, stderr) => resolve({ code: error?.code ?? 0, stderr }));
    });
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('this connection shows no certificate') });
    expect((await etcdctl(etcd.endpoint, ['user', 'list'])).stdout).toBe('');
  });
});
