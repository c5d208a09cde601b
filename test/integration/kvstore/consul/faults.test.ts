import { createServer } from 'node:http';
import type { LookupFunction } from 'node:net';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type ConsulStore, UnavailableError } from '../../../../kvstore/index.ts';
import { type Clock, systemClock } from '../../../../runtime/clock/index.ts';
import { deafToReplacement, passing } from '../../../contract/store/suite/defective-watches.ts';
import { type ConsulProcess, startConsul } from '../../../support/consul.ts';
import { MovingName, keepingTheFirst } from '../../../support/moving-name.ts';
import { needs } from '../../../support/probe.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, withPatience, writeMany } from '../etcd/mirror.ts';
import { clientOf } from './support.ts';

jest.setTimeout(90_000);

needs('consul')('A Consul in trouble', () => {
  let server: ConsulProcess;
  let store: ConsulStore;
  let prefixes = 0;
  beforeAll(async () => {
    server = await startConsul({ mode: 'disk' });
    store = clientOf(server);
  }, 600_000);
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });
  const synced = async (prefix: string, through: ConsulStore = store): Promise<Mirror> => {
    const mirror = new Mirror(through, prefix, { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    return mirror;
  };

  test('that was killed and comes back costs its followers nothing', async () => {
    const prefix = `t${++prefixes}/`;
    await writeMany(store, `${prefix}stable/`, 300);
    await using mirror = await synced(prefix);
    for (let round = 0; round < 3; round++) {
      await server.restart();
      await store.put(`${prefix}round`, `${round}`);
    }
    await mirror.agreesWith(store, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.watch.counts.removes).toBe(0);
  });

  test('that was wiped is told from one that was restarted, though it counts anew', async () => {
    const prefix = `t${++prefixes}/`;
    await using other = await startConsul({ mode: 'disk' });
    await using client = clientOf(other);
    await writeMany(client, prefix, 60, () => 'old');
    await using mirror = await synced(prefix, client);
    await other.wipe();
    // The same keys, and very likely the same indexes, with other values.
    await writeMany(client, prefix, 50, () => 'new');
    await mirror.until(() => mirror.marks.includes('store-replaced'));
    await mirror.agreesWith(client, prefix);
    expect([...mirror.state.values()].every((value) => value.startsWith('new@'))).toBe(true);
    expect(mirror.state.size).toBe(50);
  });

  test('whose incarnation key changes is listed again, and loses nothing thereby', async () => {
    const prefix = `t${++prefixes}/`;
    await writeMany(store, `${prefix}stable/`, 20);
    await using mirror = await synced(prefix);
    const mark = `/v1/kv/${prefix}.isthmus-incarnation`;
    await server.call('PUT', mark, 'another');
    await mirror.until(() => mirror.marks.includes('store-replaced') && mirror.watch.synced);
    await server.call('DELETE', mark);
    await mirror.until(() => mirror.marks.filter((entry) => entry === 'store-replaced').length === 2);
    await mirror.agreesWith(store, prefix);
    expect(mirror.watch.counts.removes).toBe(0);
    expect((await server.call('GET', mark)).status).toBe(200);
    expect([...mirror.state.keys()].some((key) => key.includes('incarnation'))).toBe(false);
  });

  test('that was restored from a snapshot ends with the state of the snapshot', async () => {
    const prefix = `t${++prefixes}/`;
    await writeMany(store, prefix, 20, () => 'saved');
    await using mirror = await synced(prefix);
    const snapshot = await saved(server);
    await writeMany(store, prefix, 30, () => 'later');
    await mirror.until(() => mirror.state.size === 30);
    expect((await server.call('PUT', '/v1/snapshot', snapshot)).status).toBe(200);
    await mirror.until(() => mirror.state.size === 20);
    await mirror.agreesWith(store, prefix);
    await store.put(`${prefix}after`, 'x');
    await mirror.until(() => mirror.state.has('after'));
  });

  test('whose keys a stranger deletes above the watched prefix is noticed when the wait ends', async () => {
    const prefix = `t${++prefixes}/`;
    await writeMany(store, `${prefix}in/`, 20);
    await using mirror = await synced(`${prefix}in/`);
    await store.delete(`${prefix}in/0`);
    await mirror.until(() => mirror.state.size === 19);
    await server.call('DELETE', `/v1/kv/${prefix}?recurse`);
    await mirror.until(() => mirror.state.size === 0, 15_000);
    await store.put(`${prefix}in/new`, 'x');
    await mirror.agreesWith(store, `${prefix}in/`);
  });

  test('that hangs fails calls in time, and its watches go on when it wakes', async () => {
    const prefix = `t${++prefixes}/`;
    await using impatient = clientOf(server, { callTimeoutMs: 3000 });
    await using mirror = await synced(prefix, impatient);
    server.pause();
    await expect(impatient.put(`${prefix}a`, 'x')).rejects.toThrow(UnavailableError);
    expect(impatient.health().connected).toBe(false);
    expect(impatient.health().error).toBeDefined();
    server.resume();
    await store.put(`${prefix}b`, 'x');
    await mirror.until(() => mirror.state.has('b'));
    await mirror.agreesWith(store, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(impatient.health().reconnections).toBeGreaterThanOrEqual(1);
  });

  test('behind a connection that is cut in the middle of a listing removes nothing', async () => {
    const prefix = `t${++prefixes}/`;
    await writeMany(store, `${prefix}stable/`, 400, (i) => `${i}`.padEnd(300, '.'));
    await using proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port });
    await using through = clientOf(server, { addresses: [proxy.endpoint] });
    await using mirror = await synced(prefix, through);
    for (let round = 0; round < 15; round++) {
      proxy.cut();
      await store.put(`${prefix}round`, `${round}`);
      await systemClock.sleep(round * 3);
    }
    await mirror.agreesWith(store, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.watch.counts.removes).toBe(0);
  });

  test.each(['stalls', 'is reset'])(
    'behind a line that %s at any byte loses nothing and removes nothing',
    async (how) => {
      const prefix = `t${++prefixes}/`;
      await writeMany(store, `${prefix}stable/`, 40, (i) => `${i}`.padEnd(300, '.'));
      await using proxy = await startTcpProxy({ host: '127.0.0.1', port: server.port });
      await using through = clientOf(server, { addresses: [proxy.endpoint], callTimeoutMs: 3000 });
      await using mirror = await synced(prefix, through);
      // A stall takes its time to be noticed.
      for (const bytes of how === 'stalls' ? [400, 9000] : [1, 60, 200, 400, 3000, 9000, 17_000]) {
        if (how === 'stalls') proxy.stallAtByte(bytes);
        else proxy.cutAtByte(bytes, { reset: true });
        proxy.cut();
        await store.put(`${prefix}round/${bytes}`, 'x');
        await mirror.agreesWith(store, prefix);
      }
      expect(mirror.marks).toEqual(['start', 'synced']);
      expect(mirror.watch.counts.removes).toBe(0);
    },
  );

  test('would be found out to be another one unnoticed', async () => {
    const prefix = `t${++prefixes}/`;
    await writeMany(store, `${prefix}stable/`, 20);
    const deaf = passing(store, { listAndWatch: (bytes, options) => deafToReplacement(store, bytes, options) });
    await using mirror = new Mirror(deaf, prefix, { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    await using other = await synced(prefix);
    await server.call('PUT', `/v1/kv/${prefix}.isthmus-incarnation`, 'another');
    await other.until(() => other.marks.includes('store-replaced') && other.watch.synced);
    await store.put(`${prefix}new`, 'x');
    await other.agreesWith(store, prefix);
    await expect(mirror.agreesWith(store, prefix, 500)).rejects.toThrow(/Not the state of the store: new differs/);
  });

  test('that loses an address is reached at the next one', async () => {
    await using two = clientOf(server, { addresses: ['http://127.0.0.1:1', server.endpoint] });
    const key = `t${++prefixes}/a`;
    await two.put(key, 'x');
    expect(await two.get(key)).toBeDefined();
    expect(two.health().endpoint).toBe(server.endpoint);
  });

  test('whose server at the first address is cut off from the others is asked at the next one', () => cutOff(server));

  test('would be found out to be asked only where somebody answers', async () => {
    await expect(cutOff(server, 1)).rejects.toThrow(/No cluster leader/);
  });

  test('whose name is given to another address is found there, and waited for while the name has none', () =>
    renamed(server));

  test('would be found out to be looked for only where it was first', async () => {
    await expect(withPatience(3000, () => renamed(server, keepingTheFirst))).rejects.toThrow(/host name is not known/);
  });

  test('and a wall clock that jumps an hour, there and back, cost nobody a lease', async () => {
    let wallMs = 0;
    const clock: Clock = {
      now: () => systemClock.now() + wallMs,
      monotonicMs: () => systemClock.monotonicMs(),
      sleep: (ms, signal) => systemClock.sleep(ms, signal),
      timer: (ms, run) => systemClock.timer(ms, run),
    };
    const prefix = `t${++prefixes}/`;
    await using client = clientOf(server, { clock });
    await using mirror = await synced(prefix, client);
    const lease = await client.grantLease({ ttlSeconds: 10 });
    await client.put(`${prefix}leased`, 'x', { lease: lease.id });
    for (const jump of [3_600_000, -3_600_000]) {
      wallMs = jump;
      // A renewal comes after a third of the time.
      await systemClock.sleep(4000);
      await store.put(`${prefix}now/${jump}`, 'x');
      await mirror.agreesWith(store, prefix);
    }
    expect(lease.lost.aborted).toBe(false);
    expect(mirror.watch.counts.removes).toBe(0);
    await lease.revoke();
    await mirror.agreesWith(store, prefix);
    expect(mirror.state.has('leased')).toBe(false);
  });

  test('tells the owner of a lease in time that it cannot be renewed', async () => {
    const key = `t${++prefixes}/leased`;
    const lease = await store.grantLease({ ttlSeconds: 10 });
    await store.put(key, 'x', { lease: lease.id });
    server.pause();
    const { promise, resolve } = Promise.withResolvers<void>();
    lease.lost.addEventListener('abort', () => resolve());
    await promise;
    server.resume();
    // Consul lets the key go after twice the time: nobody else can have had it while its owner believed in it.
    expect((await store.get(key))?.lease).toBe(lease.id);
    await lease[Symbol.asyncDispose]();
  });
});

/**
 * The first of two addresses is that of a server that finds no leader.
 * @param known which of them the client makes use of
 */
async function cutOff(server: ConsulProcess, known = 2): Promise<void> {
  let asked = 0;
  // What such a server answers (`agent/structs/errors.go`).
  const alone = createServer((_, response) => {
    asked++;
    response.writeHead(500).end('No cluster leader');
  });
  await new Promise<void>((resolve) => alone.listen(0, '127.0.0.1', resolve));
  try {
    const address = alone.address();
    const first = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`;
    const addresses = [first, server.endpoint].slice(0, known);
    await using two = clientOf(server, { addresses, callTimeoutMs: 3000 });
    const prefix = 'cut-off/';
    await two.put(`${prefix}a`, 'x');
    expect(await two.get(`${prefix}a`)).toBeDefined();
    await using mirror = new Mirror(two, prefix, { order: 'key' });
    await mirror.until(() => mirror.watch.synced);
    expect([mirror.state.size, asked > 0, two.health().endpoint]).toEqual([1, true, server.endpoint]);
  } finally {
    alone.closeAllConnections();
    await new Promise((resolve) => alone.close(resolve));
  }
}

/** Consul's name is given to another address, and for a while to none; `client` looks it up in its own way. */
async function renamed(server: ConsulProcess, client = (lookup: LookupFunction) => lookup): Promise<void> {
  const target = { host: '127.0.0.1', port: server.port };
  await using direct = clientOf(server);
  await using here = await startTcpProxy(target, { host: '127.0.0.2' });
  await using there = await startTcpProxy(target, { host: '127.0.0.3', port: here.port });
  const name = new MovingName('consul.mesh.example', '127.0.0.2');
  const addresses = [`http://${name.name}:${here.port}`];
  await using store = clientOf(server, { addresses, lookup: client(name.lookup) });
  const prefix = 'renamed/';
  await direct.deletePrefix(prefix);
  await writeMany(direct, `${prefix}stable/`, 20);
  await using mirror = new Mirror(store, prefix, { order: 'key' });
  await mirror.until(() => mirror.watch.synced);
  expect([here.connections > 0, there.connections]).toEqual([true, 0]);
  // The old address is gone before the name is changed, and for a while there is none at all.
  await here.set('refuse');
  here.cut();
  name.address = undefined;
  await direct.put(`${prefix}new/1`, 'x');
  await mirror.until(() => store.health().error?.includes('host name is not known') === true);
  expect(mirror.state.size).toBe(20);
  name.address = '127.0.0.3';
  await mirror.agreesWith(direct, prefix);
  expect(there.connections).toBeGreaterThan(0);
  await store.put(`${prefix}new/2`, 'x');
  await mirror.agreesWith(direct, prefix);
  expect(mirror.marks).toEqual(['start', 'synced']);
  expect(mirror.watch.counts.removes).toBe(0);
}

async function saved(server: ConsulProcess): Promise<Buffer> {
  const answer = await fetch(`${server.endpoint}/v1/snapshot`);
  return Buffer.from(await answer.arrayBuffer());
}
