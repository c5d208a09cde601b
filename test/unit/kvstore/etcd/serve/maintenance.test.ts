import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { FrameReader, decode, encodeFrame, methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { Told, of, openRig, put } from './rig.ts';

/** Every service that etcd 3.6 serves to clients, and its methods (`api/etcdserverpb/rpc.proto`, `server/etcdserver/api`). */
const services: Readonly<Record<string, readonly string[]>> = {
  'etcdserverpb.KV': ['Range', 'Put', 'DeleteRange', 'Txn', 'Compact'],
  'etcdserverpb.Watch': ['Watch'],
  'etcdserverpb.Lease': ['LeaseGrant', 'LeaseRevoke', 'LeaseKeepAlive', 'LeaseTimeToLive', 'LeaseLeases'],
  'etcdserverpb.Cluster': ['MemberAdd', 'MemberRemove', 'MemberUpdate', 'MemberList', 'MemberPromote'],
  'etcdserverpb.Maintenance': [
    'Alarm',
    'Status',
    'Defragment',
    'Hash',
    'HashKV',
    'Snapshot',
    'MoveLeader',
    'Downgrade',
  ],
  'etcdserverpb.Auth': [
    'AuthEnable',
    'AuthDisable',
    'AuthStatus',
    'Authenticate',
    'UserAdd',
    'UserGet',
    'UserList',
    'UserDelete',
    'UserChangePassword',
    'UserGrantRole',
    'UserRevokeRole',
    'RoleAdd',
    'RoleGet',
    'RoleList',
    'RoleDelete',
    'RoleGrantPermission',
    'RoleRevokePermission',
  ],
  'v3lockpb.Lock': ['Lock', 'Unlock'],
  'v3electionpb.Election': ['Campaign', 'Proclaim', 'Leader', 'Observe', 'Resign'],
  'grpc.health.v1.Health': ['Check', 'Watch'],
};

/** What of it is served. */
const served: ReadonlySet<string> = new Set(Object.values(methods).map(({ path }) => path.replace(/^\//, '')));
const everyMethod = Object.entries(services).flatMap(([service, names]) =>
  names.map((name) => ({ service, name, path: `${service}/${name}` })),
);
const emptyRequest = Buffer.from([0, 0, 0, 0, 0]);

/** Paths of all calls that etcd's `rpc.proto` declares. */
function declared(): readonly string[] {
  const etcd3 = dirname(createRequire(import.meta.url).resolve('etcd3/package.json'));
  const proto = readFileSync(join(etcd3, 'proto/rpc.proto'), 'utf8');
  const paths: string[] = [];
  let service = '';
  for (const [, kind, name = ''] of proto.matchAll(/^\s*(service|rpc)\s+(\w+)/gm))
    if (kind === 'service') service = name;
    else paths.push(`etcdserverpb.${service}/${name}`);
  return paths;
}

describe('every method of etcd’s', () => {
  test('stands in its protocol file, and none is left out here', () => {
    const here = everyMethod.map(({ path }) => path).filter((path) => path.startsWith('etcdserverpb.'));
    expect(here.toSorted()).toEqual([...declared()].toSorted());
  });

  test('that is not served is named so in the page of the API, and no other is', () => {
    const page = readFileSync(new URL('../../../../../docs/etcd-api.md', import.meta.url), 'utf8');
    const paragraph = page.split('\n\n').find((one) => one.startsWith('Everything else answers')) ?? '';
    const named = new Set([...paragraph.matchAll(/`(\w+)`/g)].map(([, name]) => name));
    const refused = declared().filter((path) => named.has(path.split('/')[1]));
    expect(refused).toEqual(declared().filter((path) => !served.has(path)));
  });

  test.each(['/etcdserverpb.KV/range', '/etcdserverpb.KV/Range/', '/etcdserverpb.KV/', '/KV/Range', '/', '//'])(
    'is not %j, which is unimplemented',
    async (path) => {
      await using rig = await openRig();
      const { code, message, messages } = await rig.client.bytes(path, emptyRequest);
      expect({ code, messages }).toEqual({ code: 12, messages: [] });
      expect(message).toMatch(/^unknown (method|service) /);
    },
  );

  test('that is served is one of them', () => {
    const known = new Set(everyMethod.map(({ path }) => path));
    expect([...served].filter((path) => !known.has(path))).toEqual([]);
  });

  test.each(everyMethod.filter(({ path }) => !served.has(path)))(
    '$path is unimplemented, in the words of gRPC',
    async ({ service, name, path }) => {
      await using rig = await openRig();
      const ours = [...served].some((one) => one.startsWith(`${service}/`));
      const message = ours ? `unknown method ${name} for service ${service}` : `unknown service ${service}`;
      expect(await rig.client.bytes(`/${path}`, emptyRequest)).toEqual({ code: 12, message, messages: [] });
      expect(rig.engine.revision).toBe(1);
    },
  );

  // A stream of watches goes on although the client has said all, as etcd's does.
  const answered = everyMethod.filter(({ path }) => served.has(path) && path !== 'etcdserverpb.Watch/Watch');
  test.each(answered)('$path has an answer', async ({ path }) => {
    await using rig = await openRig();
    const answer = await rig.client.bytes(`/${path}`, emptyRequest);
    expect(answer.code).not.toBe(12);
    expect(answer.message).not.toContain('internal error');
  });
});

describe('maintenance', () => {
  test('a hash is equal for equal content at one revision, and another for any difference', async () => {
    await using one = await openRig();
    await using other = await openRig();
    const hash = async (rig: typeof one, revision = 0): Promise<bigint | undefined> =>
      (await rig.client.call(methods.hashKv, { revision })).response?.hash;
    for (const rig of [one, other])
      for (let i = 0; i < 2500; i += 1) await rig.engine.put({ key: of(`k${i}`), value: of('v') });
    expect(await hash(one)).toBe(await hash(other));
    await put(one, 'k2400', 'w');
    await put(other, 'k2400', 'x');
    expect(await hash(one)).not.toBe(await hash(other));
    expect(await hash(one, 2501)).toBe(await hash(other, 2501));
    await one.engine.compact(2502);
    expect(await one.client.call(methods.hashKv, { revision: 2501 })).toMatchObject({ code: 11 });
    expect((await one.client.call(methods.hashKv, {})).response).toMatchObject({
      compactRevision: 2502,
      hashRevision: 2502,
    });
  });

  test('a snapshot is made no faster than its client reads', async () => {
    await using rig = await openRig({ limits: { maxUnsentBytes: 64 * 1024 } }, { windowBytes: 65_535 });
    for (let i = 0; i < 400; i += 1) await rig.engine.put({ key: of(`k${i}`), value: randomText(20_000) });
    const stream = rig.client.open(methods.snapshot.path);
    stream.end(encodeFrame(methods.snapshot.request, {}));
    await new Promise((resolve) => stream.once('response', resolve));
    // Nobody reads: others are answered meanwhile, and little waits.
    for (let i = 0; i < 50; i += 1) await put(rig, 'other', String(i));
    expect(stream.readableLength).toBeLessThan(1 << 20);
    const frames = new FrameReader({ maxBytes: 1 << 24 });
    let bytes = 0;
    for await (const chunk of stream)
      for (const message of frames.push(chunk as Buffer)) {
        const { blob, header, version } = decode(methods.snapshot.response, message.slice());
        bytes += blob.length;
        expect([header?.clusterId, version]).toEqual([rig.engine.clusterId, 'isthmus 3.6.0']);
      }
    expect(bytes % 512).toBe(32);
    expect(bytes).toBeGreaterThan(400 * 10_000);
  });

  test('a snapshot that is taken more slowly than history is forgotten has everything of its revision', async () => {
    await using rig = await openRig({ limits: { maxUnsentBytes: 64 * 1024 } }, { windowBytes: 65_535 });
    // More than a few pages, so that most of it is read after the compaction.
    for (let i = 0; i < 8_000; i += 1)
      await rig.engine.put({ key: of(`k${String(i).padStart(5, '0')}`), value: randomText(400) });
    const stream = rig.client.open(methods.snapshot.path);
    stream.end(encodeFrame(methods.snapshot.request, {}));
    await new Promise((resolve) => stream.once('response', resolve));
    await rig.engine.deleteRange({ key: of('k'), rangeEnd: of('l') });
    await put(rig, 'other', '1');
    await rig.engine.compact(rig.engine.revision);
    const frames = new FrameReader({ maxBytes: 1 << 24 });
    const blobs: Uint8Array[] = [];
    for await (const chunk of stream)
      for (const message of frames.push(chunk as Buffer))
        blobs.push(decode(methods.snapshot.response, message.slice()).blob);
    const lines = gunzipSync(Buffer.concat(blobs).subarray(0, -32)).toString().trim().split('\n');
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ revision: 8_001 });
    expect(JSON.parse(lines.at(-1) ?? '')).toEqual({ end: { keys: 8_000, leases: 0 } });
  });

  test('a manual progress answer follows all events before it, also of a watch that is behind', async () => {
    await using rig = await openRig();
    for (let i = 0; i < 3000; i += 1) await rig.engine.put({ key: of('a'), value: of(String(i)) });
    const told = new Told(rig.client);
    told.watch.send({ create: { key: of('a'), startRevision: 2 } });
    told.watch.send({ progress: {} });
    let at = -1;
    for (let count = 2; at < 0; count += 1) {
      await told.until(count);
      at = told.responses.findIndex(({ watchId }) => watchId === -1n);
    }
    const before = told.responses.slice(0, at).flatMap(({ events }) => events.map(({ kv }) => kv?.modRevision));
    const revision = told.responses[at]?.header?.revision ?? 0;
    expect(revision).toBeGreaterThanOrEqual(3001);
    expect(before).toEqual(Array.from({ length: revision - 1 }, (_, i) => i + 2));
  });
});

/** Text that compresses to about half. */
function randomText(length: number): Uint8Array {
  return Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 36).toString(36)).join(''));
}
