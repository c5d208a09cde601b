import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LeaderWatch } from '../../../../clustermesh/apiserver/leader-watch.ts';
import { EngineStore, type Lease, MemoryEngine, UnavailableError } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const heartbeat = 'cilium/.heartbeat';
const { signal } = new AbortController();
let clock: VirtualClock;
let engine: MemoryEngine;
let store: EngineStore;
let away: boolean;
let watch: LeaderWatch;
let lease: Lease;

beforeEach(async () => {
  clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
  away = false;
  const get: EngineStore['get'] = async (key, options) => {
    if (away) throw new UnavailableError('The store is away');
    return await store.get(key, options);
  };
  watch = new LeaderWatch({ store: { get, leaseTtl: (id) => store.leaseTtl(id) }, clock });
  lease = await store.grantLease({ ttlSeconds: 900 });
});
afterEach(async () => {
  await lease[Symbol.asyncDispose]();
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

const beat = async (): Promise<void> => {
  await store.put(heartbeat, String(clock.now()), { lease: lease.id });
};
/** Looks every five seconds; what fails is looked at again. */
const pass = async (seconds: number, beats: boolean): Promise<void> => {
  for (let i = 0; i < seconds; i += 5) {
    if (beats && i % 60 === 0) await beat();
    await clock.advance(5_000);
    await watch.look(signal).catch(() => undefined);
  }
};

describe('Whether anybody leads', () => {
  test('is seen by beats, for as long as they come', async () => {
    await pass(600, true);
    expect(watch.silent).toBe(false);
    await pass(80, false);
    expect(watch.silent).toBe(false);
    await pass(100, false);
    expect(watch.silent).toBe(true);
    await pass(10, true);
    expect(watch.silent).toBe(false);
  });

  test('is seen by a term that begins, too', async () => {
    await pass(300, false);
    expect(watch.silent).toBe(true);
    await store.put('isthmus/v1/leader/apiserver.term', 'another');
    await pass(10, false);
    expect(watch.silent).toBe(false);
  });

  test('is known at once where nobody renews the lease of the last beat, and stays so when that ends', async () => {
    await beat();
    await lease[Symbol.asyncDispose]();
    await clock.advance(500_000);
    await pass(10, false);
    expect(watch.silent).toBe(true);
    await pass(500, false);
    expect(await store.get(heartbeat)).toBeUndefined();
    expect(watch.silent).toBe(true);
  });

  test('is seen sooner where leases are short and the store does not tell what they have left', async () => {
    const untold = (leaseTtlSeconds: number): LeaderWatch =>
      new LeaderWatch({ store: { get: (key, options) => store.get(key, options) }, clock, leaseTtlSeconds });
    const [long, short] = [untold(900), untold(60)];
    await beat();
    const silent: boolean[][] = [];
    for (let seconds = 0; seconds < 160; seconds += 5) {
      for (const one of [long, short]) await one.look(signal);
      await clock.advance(5_000);
      if ([65, 80, 155].includes(seconds)) silent.push([long.silent, short.silent]);
    }
    expect(silent).toEqual([
      [false, false],
      [false, true],
      [true, true],
    ]);
  });

  test('is not known of a time in which the store was away', async () => {
    await pass(60, true);
    away = true;
    await pass(600, false);
    away = false;
    await pass(60, true);
    expect(watch.silent).toBe(false);
    away = true;
    await pass(600, false);
    away = false;
    await pass(5, false);
    expect(watch.silent).toBe(false);
    await pass(200, false);
    expect(watch.silent).toBe(true);
    // Nobody led before that.
    away = true;
    await pass(600, false);
    away = false;
    await pass(5, false);
    expect(watch.silent).toBe(true);
  });
});
