import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  assignedPodCidrs,
  encodeNodeAssignment,
  meshUsers,
  nodeAssignmentKey,
} from '../../../../../clustermesh/index.ts';
import { type BuiltInUsers, Users } from '../../../../../kvstore/auth/index.ts';
import { prefixEnd } from '../../../../../kvstore/contract/index.ts';
import { openStore } from '../../../../../kvstore/index.ts';
import type { ServeLimits } from '../../../../../kvstore/etcd/serve/index.ts';
import { type Encodable, type Method, encodeFrame, methods } from '../../../../../kvstore/etcd/wire/index.ts';
import { type Clock, VirtualClock, systemClock } from '../../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../../runtime/log/index.ts';
import { parsePrefix } from '../../../../../values/ip/index.ts';
import { type IssuedCertificate, TestAuthority, writeCertificate } from '../../../../support/certificates.ts';
import { RawEtcd } from '../../../../support/raw-etcd.ts';
import { until } from '../../../../support/until.ts';
import { type Rig, Told, of, openRig } from './rig.ts';

const east = new TestAuthority('authority of east');
const west = new TestAuthority('authority of west');
const denied = { code: 7, message: 'etcdserver: permission denied' };
const deniedWatch = 'rpc error: code = PermissionDenied desc = etcdserver: permission denied';
const usersFile = `
authorities: [{file: west.crt, user: remote-west}]
users: [{name: remote-west, role: remote}]
`;

let folder: string;
const write = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content);
  return join(folder, name);
};
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-serve-users-'));
  write('east.crt', east.cert);
  write('west.crt', west.cert);
  write('users.yaml', usersFile);
  write('east.crl', east.revocationList([]));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Guarded extends Rig {
  /** A client with a certificate of its own, or with this one. */
  as(who: string | IssuedCertificate): RawEtcd;
}

/** A store of the cluster east whose users are known; `rig.client` is root. */
async function openGuarded(
  clock: Clock = systemClock,
  looks = { lookEveryMs: 20 },
  limits: Partial<ServeLimits> = {},
): Promise<Guarded> {
  const files = { trustedCaFile: join(folder, 'east.crt'), crlFile: join(folder, 'east.crl') };
  const deps = { clock, log: silentLogger };
  // The rig makes the engine, and users are there before it.
  let built: BuiltInUsers | undefined;
  const builtIn: BuiltInUsers = {
    rolesOf: (user) => built?.rolesOf(user),
    roleFor: (role, entry) => (built ?? plainUsers).roleFor(role, entry),
  };
  const users = await Users.open({ ...files, usersFile: join(folder, 'users.yaml'), builtIn, ...looks }, deps);
  const tls = { ...writeCertificate(folder, 'server', east.issue({ commonName: 'server' })), clientCertAuth: true };
  const clients: RawEtcd[] = [];
  const root = { ca: east.cert, ...east.issue({ commonName: 'root', names: [] }) };
  const rig = await openRig({ tls, users, clock, limits }, { tls: root });
  built = meshUsers({ clusterName: 'east', podCidrsOf: assignedPodCidrs(rig.engine) });
  return {
    ...rig,
    as: (who) => {
      const certificate = typeof who === 'string' ? east.issue({ commonName: who, names: [] }) : who;
      const client = new RawEtcd(rig.port, { tls: { ca: east.cert, ...certificate } });
      clients.push(client);
      return client;
    },
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) await client[Symbol.asyncDispose]();
      await rig[Symbol.asyncDispose]();
      await users[Symbol.asyncDispose]();
    },
  };
}

const plainUsers = meshUsers({ clusterName: 'east', podCidrsOf: async () => [] });

const secret = 'isthmus/v1/secret';
const open = 'cilium/state/nodes/v1/east/n1';
const all = { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) };
const under = (prefix: string) => ({ key: of(prefix), rangeEnd: prefixEnd(of(prefix)) });
const put = (key: string) => ({ put: { key: of(key), value: of('x') } });

/** Everything that a certificate which may only read is not to do, and what it would be good for. */
function forbiddenCalls(lease: bigint): { what: string; path: string; body: Uint8Array }[] {
  const call = <In>(what: string, method: Method<unknown, In, unknown, never>, request: In) => ({
    what,
    path: method.path,
    body: encodeFrame(method.request, request),
  });
  const txn = (what: string, request: Encodable<typeof methods.txn.request>) => call(what, methods.txn, request);
  const raw = (path: string) => ({ what: path, path: `/etcdserverpb.${path}`, body: Buffer.from([0, 0, 0, 0, 0]) });
  return [
    call('put', methods.put, { key: of(open), value: of('x') }),
    call('put of a new key', methods.put, { key: of('cilium/state/new'), value: of('x') }),
    call('put for what was there', methods.put, { key: of(secret), value: of('x'), prevKv: true }),
    call('put on a lease', methods.put, { key: of(open), value: of('x'), lease }),
    call('delete', methods.deleteRange, { key: of(open) }),
    call('delete of a range', methods.deleteRange, under('cilium/state/')),
    call('delete for what was there', methods.deleteRange, { key: of(secret), prevKv: true }),
    call('delete of everything', methods.deleteRange, all),
    call('read', methods.range, { key: of(secret) }),
    call('read of everything', methods.range, all),
    call('read of a range that begins with what is allowed', methods.range, {
      key: of('cilium/state/'),
      rangeEnd: of('j'),
    }),
    call('count', methods.range, { ...under('isthmus/'), countOnly: true }),
    call('keys', methods.range, { ...under('isthmus/'), keysOnly: true }),
    call('read of the past', methods.range, { key: of(secret), revision: 2 }),
    call('read from the front', methods.range, { key: of('\0'), rangeEnd: of('cilium/state0') }),
    call('read of another cluster’s canaries', methods.range, under('cilium/synced/west/')),
    call('read of all configs', methods.range, under('cilium/cluster-config/')),
    txn('put in a transaction', { success: [put(open)] }),
    txn('put in the other branch', { compare: [{ key: of(open) }], failure: [put(open)] }),
    txn('put in a nested transaction', { success: [{ txn: { success: [put(open)] } }] }),
    txn('delete in a nested transaction', { failure: [{ txn: { failure: [{ deleteRange: { key: of(open) } }] } }] }),
    txn('read in a transaction', { success: [{ range: { key: of(secret) } }] }),
    txn('read in a nested transaction', { success: [{ txn: { success: [{ range: { key: of(secret) } }] } }] }),
    txn('comparison', { compare: [{ key: of(secret), target: 'value', result: 'greater', value: of('a') }] }),
    txn('comparison of a range', {
      compare: [{ ...under('isthmus/'), target: 'version', result: 'equal', version: 0 }],
    }),
    txn('comparison in a nested transaction', { success: [{ txn: { compare: [{ key: of(secret) }] } }] }),
    call('grant', methods.leaseGrant, { id: 0n, ttl: 60 }),
    call('revoke', methods.leaseRevoke, { id: lease }),
    call('keys of a lease', methods.leaseTimeToLive, { id: lease, keys: true }),
    call('leases', methods.leaseLeases, {}),
    call('compact', methods.compact, { revision: 2 }),
    call('defragment', methods.defragment, {}),
    call('hash', methods.hashKv, {}),
    raw('Maintenance/Snapshot'),
    raw('Maintenance/Hash'),
    raw('Maintenance/MoveLeader'),
    call('disarm', methods.alarm, { action: 'deactivate', alarm: 'no-space' }),
    raw('Auth/AuthDisable'),
    raw('Auth/UserAdd'),
    raw('Auth/UserGrantRole'),
    raw('Auth/RoleGrantPermission'),
    raw('Auth/UserList'),
    raw('Cluster/MemberAdd'),
    raw('Cluster/MemberRemove'),
  ];
}

/** What is seen of a watch on these keys until it is refused or created. */
async function firstOf(client: RawEtcd, request: { key: Uint8Array; rangeEnd?: Uint8Array }): Promise<string> {
  const told = new Told(client);
  told.watch.send({ create: { ...request, prevKv: true, startRevision: 1 } });
  const [line = ''] = await told.until(1);
  told.watch.stream.close();
  return line;
}

describe('a store with users', () => {
  test('a stolen certificate that may only read: no forbidden call succeeds, and nothing changes', async () => {
    await using rig = await openGuarded();
    const { response } = await rig.client.call(methods.leaseGrant, { id: 0n, ttl: 600 });
    const lease = response?.id ?? 0n;
    await rig.client.call(methods.put, { key: of(secret), value: of('hidden'), lease });
    await rig.client.call(methods.put, { key: of(open), value: of('seen') });
    const { revision } = rig.engine;
    const thief = rig.as('remote');
    expect((await thief.call(methods.range, { key: of(open) })).response?.kvs[0]?.value).toEqual(of('seen'));
    const succeeded: string[] = [];
    const tried = forbiddenCalls(lease);
    for (const { what, path, body } of tried) {
      const answer = await thief.bytes(path, body);
      if (![7, 12].includes(answer.code)) succeeded.push(`${what}: ${answer.code} ${answer.message}`);
      expect(Buffer.concat(answer.messages).includes('hidden')).toBe(false);
    }
    // These answer on a stream.
    const watches = [{ key: of(secret) }, all, under('isthmus/'), { key: of('cilium/state/'), rangeEnd: of('j') }];
    for (const request of watches)
      expect(await firstOf(thief, request)).toBe(`watch -1 r${revision}, created, canceled, ${deniedWatch}`);
    const keepAlive = await thief.bytes(
      methods.leaseKeepAlive.path,
      encodeFrame(methods.leaseKeepAlive.request, { id: lease }),
    );
    expect(keepAlive).toMatchObject(denied);
    expect(succeeded).toEqual([]);
    expect(tried.length + watches.length + 1).toBeGreaterThanOrEqual(30);
    expect(rig.engine.revision).toBe(revision);
    expect((await rig.engine.leases()).length).toBe(1);
  });

  test('what reads may do goes on: ranges, watches, status, members', async () => {
    await using rig = await openGuarded();
    await rig.client.call(methods.put, { key: of(open), value: of('1') });
    const reader = rig.as('remote');
    const told = new Told(reader);
    told.watch.send({ create: { ...under('cilium/state/'), startRevision: 2 } });
    expect(await told.until(2)).toEqual(['watch 0 r2, created', `watch 0 r2, put ${open}=1@2`]);
    expect((await reader.call(methods.status, {})).code).toBe(0);
    expect((await reader.call(methods.memberList, {})).code).toBe(0);
    expect((await reader.call(methods.alarm, {})).code).toBe(0);
    expect((await reader.call(methods.authStatus, {})).response).toMatchObject({ enabled: true });
    expect(await reader.call(methods.authenticate, { name: 'root', password: 'x' })).toMatchObject({
      code: 3,
      message: 'etcdserver: authentication failed, invalid user ID or password',
    });
    const compare = [{ key: of(open), target: 'version', result: 'equal', version: 1 }] as const;
    expect((await reader.call(methods.txn, { compare, success: [{ range: { key: of(open) } }] })).code).toBe(0);
  });

  test('the authority of another cluster makes nobody more than its reader, whatever it signs', async () => {
    await using rig = await openGuarded();
    await rig.client.call(methods.put, { key: of(open), value: of('1') });
    await rig.client.call(methods.put, { key: of(secret), value: of('1') });
    for (const commonName of ['root', 'admin-east', 'agent-n1', 'remote-north', 'local-east']) {
      const client = rig.as(west.issue({ commonName, names: [] }));
      expect((await client.call(methods.range, { key: of(open) })).code).toBe(0);
      expect(await client.call(methods.range, { key: of(secret) })).toMatchObject(denied);
      expect(await client.call(methods.put, { key: of(open), value: of('2') })).toMatchObject(denied);
      expect(await client.call(methods.compact, { revision: 2 })).toMatchObject(denied);
    }
    // A name of nobody’s, and an authority of nobody’s.
    expect(await rig.as('mallory').call(methods.range, { key: of(open) })).toMatchObject(denied);
    const stranger = new TestAuthority('authority of east').issue({ commonName: 'root' });
    expect((await rig.as(stranger).call(methods.range, { key: of(open) })).code).toBe(-1);
  });

  test('a user that is not root has so many leases, over all its connections and whoever is connected when', async () => {
    let laterMs = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + laterMs };
    await using rig = await openGuarded(clock, { lookEveryMs: 20 }, { maxLeasesPerUser: 3 });
    const grant = async (client: RawEtcd, id: bigint): Promise<string> => {
      const { code, message } = await client.call(methods.leaseGrant, { id, ttl: 9_000_000_000 });
      return code === 0 ? 'granted' : message;
    };
    const agent = rig.as('agent-n1');
    const atOnce = await Promise.all([1n, 2n, 3n, 4n].map(async (id) => await grant(agent, id)));
    expect(atOnce.toSorted()).toEqual(['etcdserver: too many requests', 'granted', 'granted', 'granted']);
    await agent[Symbol.asyncDispose]();
    const again = rig.as('agent-n1');
    laterMs += 1_000;
    expect(await grant(again, 5n)).toBe('etcdserver: too many requests');
    expect(await grant(rig.as('agent-n2'), 6n)).toBe('granted');
    for (let id = 10n; id < 20n; id++) expect(await grant(rig.client, id)).toBe('granted');
    expect((await again.call(methods.leaseRevoke, { id: 1n })).code).toBe(0);
    laterMs += 1_000;
    expect(await grant(again, 7n)).toBe('granted');
    expect(await grant(again, 8n)).toBe('etcdserver: too many requests');
  });

  test('an agent writes its own records, and nobody else’s', async () => {
    await using rig = await openGuarded();
    const podCidrs = [parsePrefix('10.1.1.0/24')];
    const assignment = encodeNodeAssignment({ node: 'n1', podCidrs, labels: {} });
    await rig.client.call(methods.put, { key: of(nodeAssignmentKey('n1')), value: of(assignment) });
    const foreign = await rig.client.call(methods.leaseGrant, { id: 77n, ttl: 60 });
    await rig.client.call(methods.put, { key: of(secret), value: of('1'), lease: 77n });
    const agent = rig.as('agent-n1');
    expect(foreign.code).toBe(0);
    const { response } = await agent.call(methods.leaseGrant, { id: 0n, ttl: 60 });
    const lease = response?.id ?? 0n;
    const address = 'cilium/state/ip/v1/default/10.1.1.7';
    const mine = [open, 'isthmus/v1/own-set/n1', address].map((key) => ({
      put: { key: of(key), value: of('1'), lease },
    }));
    expect((await agent.call(methods.txn, { success: mine })).code).toBe(0);
    expect((await agent.call(methods.leaseTimeToLive, { id: lease, keys: true })).response?.keys).toHaveLength(3);
    const alive = await agent.bytes(
      methods.leaseKeepAlive.path,
      encodeFrame(methods.leaseKeepAlive.request, { id: lease }),
    );
    expect(alive).toMatchObject({ code: 0 });
    const refused = [
      await agent.call(methods.put, { key: of('cilium/state/nodes/v1/east/n2'), value: of('1') }),
      await agent.call(methods.put, { key: of('cilium/state/ip/v1/default/10.1.2.7'), value: of('1') }),
      await agent.call(methods.put, { key: of(nodeAssignmentKey('n1')), value: of('1') }),
      await agent.call(methods.put, { key: of(address), value: of('1'), lease: 77n }),
      await agent.call(methods.txn, { success: [...mine, put('isthmus/v1/own-set/n2')] }),
      await agent.call(methods.deleteRange, under('cilium/state/ip/v1/default/10.1.1.')),
      await agent.call(methods.leaseRevoke, { id: 77n }),
      await agent.call(methods.leaseLeases, {}),
      await agent.bytes(methods.leaseKeepAlive.path, encodeFrame(methods.leaseKeepAlive.request, { id: 77n })),
    ];
    for (const one of refused) expect(one).toMatchObject(denied);
    expect((await agent.call(methods.deleteRange, { key: of(address), prevKv: true })).response?.deleted).toBe(1);
    expect((await agent.call(methods.leaseRevoke, { id: lease })).code).toBe(0);
  });

  test('a certificate that is revoked loses its open streams, and comes back as nobody', async () => {
    await using rig = await openGuarded();
    await rig.client.call(methods.put, { key: of(open), value: of('1') });
    const certificate = east.issue({ commonName: 'remote', names: [] });
    const [revoked, other] = [rig.as(certificate), rig.as('remote')];
    const [lost, kept] = [new Told(revoked), new Told(other)];
    for (const { watch } of [lost, kept]) watch.send({ create: under('cilium/state/') });
    await Promise.all([lost.until(1), kept.until(1)]);
    write('east.crl', east.revocationList([certificate.cert]));
    expect(await lost.watch.ended).toEqual(denied);
    expect(await rig.as(certificate).call(methods.range, { key: of(open) })).toMatchObject(denied);
    await rig.client.call(methods.put, { key: of(open), value: of('2') });
    expect(await kept.until(2)).toContain(`watch 0 r3, put ${open}=2@3`);
    await until(() => revoked.session.closed);
  });

  test('a client of ours whose certificate is revoked goes on with the one that takes its place', async () => {
    await using rig = await openGuarded();
    await rig.client.call(methods.put, { key: of(open), value: of('1') });
    const given = east.issue({ commonName: 'remote', names: [] });
    const { certFile, keyFile } = writeCertificate(folder, 'client', given);
    const endpoints = [`https://127.0.0.1:${rig.port}`];
    const files = { 'trusted-ca-file': join(folder, 'east.crt'), 'cert-file': certFile, 'key-file': keyFile };
    const configFile = write('client.yaml', JSON.stringify({ endpoints, ...files }));
    await using opened = await openStore({ kind: 'etcd', configFile }, { clock: systemClock, log: silentLogger });
    const { store } = opened;
    const outcome = async (): Promise<string> =>
      store.get(open).then(
        () => 'read',
        (error: Error) => error.name,
      );
    expect(await outcome()).toBe('read');
    write('east.crl', east.revocationList([given.cert]));
    // Also the connection that follows the one that was ended: it is up, and may do nothing.
    await until(async () => (await outcome()) === 'PermissionDeniedError' && store.health().reconnections > 0);
    writeCertificate(folder, 'client', east.issue({ commonName: 'remote', names: [] }));
    await until(async () => (await outcome()) === 'read');
  });

  test('who is taken out of the file, or whose authority is, loses open streams too', async () => {
    await using rig = await openGuarded();
    const told = new Told(rig.as(west.issue({ commonName: 'x', names: [] })));
    told.watch.send({ create: under('cilium/state/') });
    await told.until(1);
    write('users.yaml', 'users: []');
    expect(await told.watch.ended).toEqual(denied);
    const again = await rig.as(west.issue({ commonName: 'x', names: [] })).call(methods.range, { key: of(open) });
    expect(again.code).toBe(-1);
  });

  test('a role that shrinks cancels the watches that it no longer covers, and only those', async () => {
    const role = (...prefixes: string[]): string => {
      const permissions = prefixes.map((prefix) => ({ access: 'read', prefix }));
      return JSON.stringify({ users: [{ name: 'app', role: 'app' }], roles: [{ name: 'app', permissions }] });
    };
    write('users.yaml', role('a/', 'b/'));
    await using rig = await openGuarded();
    const told = new Told(rig.as('app'));
    told.watch.send({ create: under('a/') });
    told.watch.send({ create: under('b/') });
    await told.until(2);
    write('users.yaml', role('b/'));
    expect((await told.until(3))[2]).toBe(`watch 0 r1, canceled, ${deniedWatch}`);
    await rig.client.call(methods.put, { key: of('a/1') });
    await rig.client.call(methods.put, { key: of('b/1') });
    expect((await told.until(4))[3]).toBe('watch 1 r3, put b/1=@3');
  });

  test('a certificate that expires while streams are open loses them, and may be followed by a new one', async () => {
    let laterMs = 0;
    await using rig = await openGuarded({ ...systemClock, now: () => Date.now() + laterMs });
    const certificate = east.issue({ commonName: 'remote', names: [], notAfterMs: Date.now() + 600_000 });
    const told = new Told(rig.as(certificate));
    told.watch.send({ create: under('cilium/state/') });
    expect(await told.until(1)).toEqual(['watch 0 r1, created']);
    laterMs = 601_000;
    expect(await told.watch.ended).toEqual({
      code: 14,
      message: 'isthmus: the certificate of this connection has expired',
    });
    expect((await rig.as('remote').call(methods.range, { key: of(open) })).code).toBe(0);
  });

  test('what is revoked or has expired is gone within five seconds, as the server counts them', async () => {
    const clock = new VirtualClock(Date.now());
    await using rig = await openGuarded(clock, { lookEveryMs: 2000 });
    const revoked = east.issue({ commonName: 'remote', names: [] });
    const expiring = east.issue({ commonName: 'remote', names: [], notAfterMs: clock.now() + 60_000 });
    const [first, second] = [new Told(rig.as(revoked)), new Told(rig.as(expiring))];
    const ends: string[] = [];
    void first.watch.ended.then(() => ends.push('revoked'));
    void second.watch.ended.then(() => ends.push('expired'));
    for (const { watch } of [first, second]) watch.send({ create: under('cilium/state/') });
    await Promise.all([first.until(1), second.until(1)]);
    write('east.crl', east.revocationList([revoked.cert]));
    await clock.advance(5000);
    await until(() => ends.length > 0);
    expect(ends).toEqual(['revoked']);
    await clock.advance(54_000);
    expect(ends).toHaveLength(1);
    // A second until it expires, and five more.
    await clock.advance(6000);
    await until(() => ends.length > 1);
    expect(ends).toEqual(['revoked', 'expired']);
  });

  test('needs certificates to know its users by', async () => {
    const deps = { clock: systemClock, log: silentLogger };
    await using users = await Users.open({ trustedCaFile: join(folder, 'east.crt') }, deps);
    await expect(openRig({ users })).rejects.toThrow('clientCertAuth is needed');
  });
});
