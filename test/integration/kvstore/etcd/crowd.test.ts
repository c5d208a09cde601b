import type { LookupFunction } from 'node:net';
import { describe, expect, jest, test } from '@jest/globals';
import { type Clock, systemClock } from '../../../../runtime/clock/index.ts';
import { type FakeEtcd, startFakeEtcd } from '../../../support/fake-etcd.ts';
import { MovingName, keepingTheFirst } from '../../../support/moving-name.ts';
import { needs } from '../../../support/probe.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { startTcpProxy } from '../../../support/tcp-proxy.ts';
import { Mirror, contentsOf, withPatience, writeMany } from './mirror.ts';
import { prefix, quick } from './scene.ts';
import { clientOf, embeddedSubject } from './subjects.ts';

jest.setTimeout(120_000);

const clusters = 255;

/** Writes down for how long somebody wanted to sleep. */
class NotingClock implements Clock {
  readonly sleeps: number[] = [];
  now = systemClock.now;
  monotonicMs = systemClock.monotonicMs;
  timer = systemClock.timer;
  sleep = (ms: number, signal?: AbortSignal): Promise<void> => {
    this.sleeps.push(ms);
    return systemClock.sleep(ms, signal);
  };
}

/** The largest part of the numbers that lies within `width` of one another. */
function largestPart(numbers: readonly number[], width: number): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  let most = 0;
  for (let from = 0, to = 0; to < sorted.length; to++) {
    while ((sorted[to] ?? 0) - (sorted[from] ?? 0) > width) from++;
    most = Math.max(most, to - from + 1);
  }
  return most / sorted.length;
}

/** Clients lose their store together and get it back; tells how often they tried, and how long each meant to wait at most. */
async function comeBack(
  count: number,
  random: () => number,
): Promise<{ readonly attempts: number; readonly longest: readonly number[] }> {
  await using subject = await embeddedSubject();
  await using direct = clientOf(subject);
  await using proxy = await startTcpProxy(subject);
  await writeMany(direct, `${prefix}stable/`, 20);
  const clocks = Array.from({ length: count }, () => new NotingClock());
  await using stack = new AsyncDisposableStack();
  const mirrors = clocks.map((clock) => {
    const target = { host: '127.0.0.1', port: proxy.port };
    const store = stack.use(clientOf(target, { clock, random, dialTimeoutMs: 30_000 }));
    return stack.use(new Mirror(store, prefix));
  });
  for (const mirror of mirrors) await mirror.until(() => mirror.watch.synced);
  const before = proxy.connections;
  // Somebody is there, and nobody is served.
  await proxy.set('accept-then-close');
  proxy.cut();
  await writeMany(direct, `${prefix}new/`, 30);
  await direct.deletePrefix(`${prefix}new/1`);
  await mirrors[0]?.until(() => clocks.every(({ sleeps }) => sleeps.some((ms) => ms >= 1000)));
  const attempts = proxy.connections - before;
  await proxy.set('pass');
  const truth = await contentsOf(direct, prefix);
  for (const mirror of mirrors) await mirror.until(() => mirror.state.size === truth.size);
  for (const mirror of mirrors) {
    expect(mirror.state).toEqual(truth);
    expect(mirror.problems).toEqual([]);
    expect(mirror.marks).toEqual(['start', 'synced']);
  }
  return { attempts, longest: clocks.map(({ sleeps }) => Math.max(...sleeps)) };
}

describe('many etcd clients at once', () => {
  test('255 clusters that lose their store together come back spread out, and all of them have everything', async () => {
    const random = new Random(255);
    const { attempts, longest } = await comeBack(clusters, () => random.next());
    // By the time that somebody waits for a second, each has tried some seven times: 50, 100, 200, … ms apart.
    expect(attempts).toBeLessThan(clusters * 12);
    // Of those who wait longest, no more than a third meant to come within the same tenth of a second.
    expect(largestPart(longest, 100)).toBeLessThan(1 / 3);
  });

  test('would be found out if they came back in step', async () => {
    const { longest } = await comeBack(20, () => 0.5);
    expect(largestPart(longest, 100)).toBeGreaterThan(1 / 3);
  });

  test('the limit on requests holds, and a lease is renewed nevertheless', async () => {
    await using subject = await embeddedSubject();
    await using store = clientOf(subject, { limits: { qps: 1, maxInflight: 1 } });
    const lease = await store.grantLease({ ttlSeconds: 2 });
    const started = performance.now();
    const reads = Promise.all(Array.from({ length: 5 }, () => store.get('a')));
    await reads;
    // The first second's worth was spent on the grant.
    expect(performance.now() - started).toBeGreaterThan(3500);
    expect(lease.lost.aborted).toBe(false);
    await lease[Symbol.asyncDispose]();
  });
});

describe('an etcd client with several ways to its store', () => {
  test('goes the other way when one is cut in the middle of following', async () => {
    await using subject = await embeddedSubject();
    await using direct = clientOf(subject);
    await using one = await startTcpProxy(subject);
    await using other = await startTcpProxy(subject);
    await using store = clientOf(subject, { endpoints: [one.endpoint, other.endpoint], random: () => 0.99, ...quick });
    await writeMany(direct, `${prefix}stable/`, 20);
    await using mirror = new Mirror(store, prefix);
    await mirror.agreesWith(direct, prefix);
    for (const [here, there] of [
      [one, other],
      [other, one],
    ] as const) {
      expect(store.health().endpoint).toBe(here.endpoint);
      await here.set('black-hole');
      await direct.put(`${prefix}new/${here.port}`, '1');
      await mirror.agreesWith(direct, prefix);
      expect(store.health().endpoint).toBe(there.endpoint);
      await here.set('pass');
    }
    expect(mirror.marks).toEqual(['start', 'synced']);
  });
});

describe('an etcd client at a member without a leader', () => {
  const leaderless = (): Promise<FakeEtcd> =>
    startFakeEtcd((call) => {
      call.respond();
      call.end(14, 'etcdserver: no leader');
    });

  /** @param known which of the endpoints the client makes use of */
  const cutOff = async (known = 2): Promise<void> => {
    await using subject = await embeddedSubject();
    await using direct = clientOf(subject);
    await using alone = await leaderless();
    await writeMany(direct, `${prefix}stable/`, 20);
    const endpoints = [alone, subject].map(({ port }) => `http://127.0.0.1:${port}`);
    await using store = clientOf(subject, { endpoints: endpoints.slice(0, known), random: () => 0.99 });
    await using mirror = new Mirror(store, prefix);
    await mirror.agreesWith(direct, prefix);
    await store.put(`${prefix}new`, '1');
    await mirror.agreesWith(direct, prefix);
    expect([alone.calls > 0, store.health().endpoint]).toEqual([true, endpoints[1]]);
  };

  test('goes to another one, and goes on there', () => cutOff());

  test('would be found out if it stayed with whoever answers', async () => {
    await expect(withPatience(3000, () => cutOff(1))).rejects.toThrow(/Not the state of the store/);
  });

  test('says so in the error of a call whose time is over', async () => {
    await using alone = await leaderless();
    await using store = clientOf({ host: '127.0.0.1', port: alone.port }, { callTimeoutMs: 300 });
    await expect(store.get('a')).rejects.toThrow('Cannot read "a": no answer within 300 ms: etcdserver: no leader');
  });

  test('does not run about where no member has one', async () => {
    await using one = await leaderless();
    await using other = await leaderless();
    const endpoints = [one, other].map(({ port }) => `http://127.0.0.1:${port}`);
    await using store = clientOf({ host: '127.0.0.1', port: one.port }, { endpoints, random: () => 0.99 });
    await using mirror = new Mirror(store, prefix);
    await mirror.until(() => one.calls > 0 && other.calls > 12);
    expect(store.health()).toMatchObject({ connected: true, endpoint: endpoints[1], reconnections: 1 });
    expect(mirror.marks).not.toContain('synced');
  });
});

/** The store's name is given to another address, and for a while to none; `client` looks it up in its own way. */
async function renamed(client = (lookup: LookupFunction) => lookup): Promise<void> {
  await using subject = await embeddedSubject();
  await using direct = clientOf(subject);
  await using here = await startTcpProxy(subject, { host: '127.0.0.2' });
  await using there = await startTcpProxy(subject, { host: '127.0.0.3', port: here.port });
  const name = new MovingName('west.mesh.example', '127.0.0.2');
  const endpoints = [`http://${name.name}:${here.port}`];
  await using store = clientOf(subject, { endpoints, lookup: client(name.lookup), dialTimeoutMs: 500 });
  await writeMany(direct, `${prefix}stable/`, 20);
  await using mirror = new Mirror(store, prefix);
  await mirror.agreesWith(direct, prefix);
  expect([here.connections > 0, there.connections]).toEqual([true, 0]);
  // The old address is gone before the name is changed, and for a while there is none at all.
  await here.set('refuse');
  here.cut();
  name.address = undefined;
  await direct.put(`${prefix}new/1`, '1');
  await mirror.until(() => store.health().error?.includes('host name is not known') === true);
  expect(mirror.state.size).toBe(20);
  name.address = '127.0.0.3';
  await mirror.agreesWith(direct, prefix);
  expect(there.connections).toBe(1);
  await direct.put(`${prefix}new/2`, '1');
  await mirror.agreesWith(direct, prefix);
  expect(mirror.marks).toEqual(['start', 'synced']);
}

needs('linux')('an etcd client whose store has a name', () => {
  test('follows the name to another address, and waits while it has none', () => renamed());

  test('would be found out if it kept to the address that it found first', async () => {
    await expect(withPatience(2000, () => renamed(keepingTheFirst))).rejects.toThrow(/host name is not known/);
  });
});
