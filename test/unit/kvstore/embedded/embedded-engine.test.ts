import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MvccEngine, plainKeyValue } from '../../../../kvstore/engine/index.ts';
import { lmdbWriter } from '../../../../kvstore/embedded/group-commit.ts';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { openLog } from '../../../../kvstore/embedded/open-log.ts';
import { closeTables, openTables } from '../../../../kvstore/embedded/tables.ts';
import type {
  HeldRevision,
  KeyRange,
  KeyValue,
  RangeResponse,
  RequestOp,
  TxnResponse,
} from '../../../../kvstore/contract/index.ts';
import { type Engine, openEmbeddedEngine } from '../../../../kvstore/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock, systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { randomFrom } from '../random.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const everything = { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) };
const put = (engine: Engine, key: string, value: string) => engine.put({ key: bytes(key), value: bytes(value) });
let directory = '';

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-embedded-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('the embedded engine', () => {
  test('answers as the one in memory at every revision, whatever was written, deleted and compacted', async () => {
    const random = randomFrom(3);
    const clock = new VirtualClock();
    await using memory = new MemoryEngine({ clock });
    await using embedded = await openEmbeddedEngine({ directory, clock: systemClock, autoCompaction: { mode: 'off' } });
    const both = [memory, embedded];
    for (let round = 0; round < 40; round++) {
      // Several writes at a time, so that some build on others that are not on disk yet.
      const steps = Array.from({ length: 8 }, () => {
        const key = `k${Math.floor(random() * 12)}`;
        return random() < 0.3
          ? (engine: Engine) => engine.deleteRange({ key: bytes(key), rangeEnd: bytes(`${key}0`) })
          : (engine: Engine) => put(engine, key, `${round}`);
      });
      const [ours, theirs] = await Promise.all(both.map((engine) => Promise.all(steps.map((step) => step(engine)))));
      expect(theirs).toEqual(ours);
      if (round % 10 === 9) for (const engine of both) await engine.compact(memory.revision - 20);
    }
    expect(embedded.revision).toBe(memory.revision);
    for (let revision = memory.compactRevision; revision <= memory.revision; revision++) {
      const [ours, theirs] = await Promise.all(both.map((engine) => engine.range({ ...everything, revision })));
      expect({ ...theirs, kvs: theirs?.kvs.map(plainKeyValue) }).toEqual(ours);
    }
  });

  test('keys beyond what LMDB holds are refused clearly, in reads they are absent', async () => {
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
    await put(engine, 'k'.repeat(1978), 'longest');
    await expect(put(engine, 'k'.repeat(1979), 'x')).rejects.toMatchObject({
      grpcCode: 3,
      message: 'etcdserver: request is too large: a key of 1979 bytes, the embedded store takes 1978',
    });
    expect((await engine.range({ key: bytes('k'.repeat(3000)) })).count).toBe(0);
    const from = (key: string, rangeEnd: string) => engine.range({ key: bytes(key), rangeEnd: bytes(rangeEnd) });
    expect((await from('k'.repeat(1978), 'l')).count).toBe(1);
    expect((await from('k'.repeat(1979), 'l')).count).toBe(0);
    expect((await from('a', 'k'.repeat(1979))).count).toBe(1);
    expect((await from('a', 'k'.repeat(1978))).count).toBe(0);
  });

  test('a full store refuses puts in etcd’s words, still deletes, and takes puts again once there is room', async () => {
    const said: string[] = [];
    const options = {
      directory,
      clock: systemClock,
      quotaBytes: 6 * 1024 * 1024,
      autoCompaction: { mode: 'off' },
      log: { ...silentLogger, warn: (message: string) => void said.push(message) },
    } as const;
    await using engine = await openEmbeddedEngine(options);
    expect(await engine.status()).toMatchObject({ dbSizeQuota: 6 * 1024 * 1024 });
    const value = 'v'.repeat(100_000);
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 200; i++) await put(engine, `big/${i}`, value);
    };
    await expect(fill()).rejects.toMatchObject({ grpcCode: 8, message: 'etcdserver: mvcc: database space exceeded' });
    for (let i = 0; i < 100; i++)
      await expect(engine.leaseGrant({ id: 0n, ttl: 60 })).rejects.toMatchObject({ grpcCode: 8 });
    expect((await engine.status()).problem).toMatchObject({ type: 'no-space' });
    expect(said).toEqual([expect.stringContaining('The store is full')]);
    await engine.deleteRange({ key: bytes('big/'), rangeEnd: bytes('big0') });
    await engine.compact(engine.revision);
    await untilTrue(async () => (await engine.status()).dbSizeInUse < 1024 * 1024);
    await put(engine, 'small', 'x');
    expect((await engine.status()).problem).toBeUndefined();
    expect(said.slice(1)).toEqual([expect.stringContaining('The store has room again')]);
  });

  test('compaction gives the space of old versions back and stalls nobody', async () => {
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock, autoCompaction: { mode: 'off' } });
    for (let round = 0; round < 20; round++)
      await Promise.all(Array.from({ length: 100 }, (_, i) => put(engine, `k${i}`, `${round}`.repeat(200))));
    const before = (await engine.status()).dbSizeInUse;
    await engine.compact(engine.revision);
    await Promise.all(Array.from({ length: 100 }, (_, i) => put(engine, `k${i}`, 'after')));
    await untilTrue(async () => (await engine.status()).dbSizeInUse < before / 4);
    expect((await engine.range({ ...everything, countOnly: true })).count).toBe(100);
  });

  test.each([
    {
      kind: 'embedded',
      make: () => openEmbeddedEngine({ directory, clock: systemClock, autoCompaction: { mode: 'off' } }),
    },
    { kind: 'in memory', make: async () => new MemoryEngine({ clock: systemClock }) },
  ])(
    'a revision that is held is read after its compaction, in an engine $kind, and its space comes back when it is let go',
    async ({ make }) => {
      await using engine = await make();
      const random = randomFrom(11);
      const step = async (round: number): Promise<void> => {
        const key = `k${Math.floor(random() * 40)}`;
        if (random() < 0.3) await engine.deleteRange({ key: bytes(key), rangeEnd: bytes(`${key}0`) });
        else await put(engine, key, `${round}`.repeat(100));
      };
      const all = async (range: (request: KeyRange) => Promise<RangeResponse>): Promise<readonly KeyValue[]> =>
        (await range(everything)).kvs.map(plainKeyValue);
      for (let round = 0; round < 150; round++) await step(round);
      const seen: { readonly held: HeldRevision; readonly was: readonly KeyValue[] }[] = [];
      for (let round = 150; round < 900; round++) {
        if (round % 150 === 0) seen.push({ held: engine.hold(), was: await all((request) => engine.range(request)) });
        await step(round);
        if (round % 60 === 0) await engine.compact(engine.revision - 5);
      }
      // Again after more than one slice of the sweep.
      for (let round = 900; round < 1500; round++) await step(round);
      await engine.compact(engine.revision);
      const [first] = seen;
      await expect(engine.range({ ...everything, revision: first?.held.revision ?? 0 })).rejects.toMatchObject({
        grpcCode: 11,
      });
      expect(() => engine.hold((first?.held.revision ?? 0) - 1)).toThrow('compacted');
      expect(() => engine.hold(engine.revision + 1)).toThrow('future');
      // The oldest is let go first, then the newest, so that what others hold still stays.
      for (let next = seen.shift(); next; next = seen.length % 2 === 0 ? seen.shift() : seen.pop()) {
        const { held, was } = next;
        expect(await all((request) => held.range(request))).toEqual(was);
        held[Symbol.dispose]();
        await systemClock.sleep(30);
      }
      const { dbSizeInUse } = await engine.status();
      if (dbSizeInUse > 0) await untilTrue(async () => (await engine.status()).dbSizeInUse < 130_000);
    },
  );

  test('what is held beyond a compaction is given up when there is no more room', async () => {
    const options = {
      directory,
      clock: systemClock,
      quotaBytes: 6 * 1024 * 1024,
      autoCompaction: { mode: 'off' },
    } as const;
    await using engine = await openEmbeddedEngine(options);
    await put(engine, 'a', '1');
    using held = engine.hold();
    const value = 'v'.repeat(100_000);
    const fill = async (): Promise<void> => {
      for (let i = 0; i < 200; i++) await put(engine, `big/${i}`, value);
    };
    await expect(fill()).rejects.toMatchObject({ grpcCode: 8 });
    // It keeps nothing that would go otherwise: what fills the store can be saved.
    using saved = engine.hold();
    expect((await engine.status()).problem).toBeDefined();
    expect((await held.range(everything)).count).toBe(1);
    await engine.compact(saved.revision);
    await expect(held.range(everything)).rejects.toMatchObject({ grpcCode: 11 });
    expect((await saved.range({ ...everything, countOnly: true })).count).toBeGreaterThan(10);
  });

  test('compactions at the same time never go back', async () => {
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock, autoCompaction: { mode: 'off' } });
    for (let i = 0; i < 9; i++) await put(engine, 'a', `${i}`);
    const [newer, older] = await Promise.allSettled([engine.compact(8), engine.compact(5)]);
    expect(newer).toMatchObject({ status: 'fulfilled' });
    expect(older).toMatchObject({ status: 'rejected', reason: { grpcCode: 11 } });
    expect(engine.compactRevision).toBe(8);
    await expect(engine.range({ ...everything, revision: 6 })).rejects.toMatchObject({ grpcCode: 11 });
  });

  test('a compaction that was interrupted goes on at the next start', async () => {
    const options = { directory, clock: systemClock, autoCompaction: { mode: 'off' } } as const;
    {
      await using engine = await openEmbeddedEngine(options);
      for (let round = 0; round < 30; round++)
        await Promise.all(Array.from({ length: 100 }, (_, i) => put(engine, `k${i}`, `${round}`.repeat(200))));
      await engine.compact(engine.revision);
    }
    await using engine = await openEmbeddedEngine(options);
    await untilTrue(async () => (await engine.status()).dbSizeInUse < 300_000);
    expect((await engine.range(everything)).kvs.every((kv) => kv.version === 30)).toBe(true);
  });

  test('writers at the same time share commits', async () => {
    let commits = 0;
    const tables = await openTables(directory);
    const backend = new LmdbBackend(tables, {
      write: (writes) => {
        commits++;
        return lmdbWriter(tables)(writes);
      },
    });
    await using engine = new MvccEngine(backend, {}, { clock: systemClock });
    await Promise.all(Array.from({ length: 500 }, (_, i) => put(engine, `k${i}`, 'x')));
    expect(engine.revision).toBe(501);
    expect(commits).toBeLessThan(10);
  });

  test('neither a read nor a watcher sees a write that is not on disk', async () => {
    const gate = Promise.withResolvers<void>();
    const tables = await openTables(directory);
    const backend = new LmdbBackend(tables, {
      write: (writes) => gate.promise.then(() => lmdbWriter(tables)(writes)),
    });
    await using engine = new MvccEngine(backend, {}, { clock: systemClock });
    let events = 0;
    engine.watch(everything, {
      events: (some) => void (events += some.length),
      compacted: () => undefined,
      failed: () => undefined,
    });
    let answered = false;
    const writing = put(engine, 'a', 'x').then(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect({ answered, events, revision: engine.revision }).toEqual({ answered: false, events: 0, revision: 1 });
    expect(await engine.range(everything)).toMatchObject({ count: 0, revision: 1 });
    gate.resolve();
    await writing;
    expect({ answered, events, revision: engine.revision }).toEqual({ answered: true, events: 1, revision: 2 });
  });

  test('that a lease is gone is told when it is so on disk, and its keys with it', async () => {
    let gate = Promise.resolve();
    const tables = await openTables(directory);
    const backend = new LmdbBackend(tables, {
      write: (writes) => gate.then(() => lmdbWriter(tables)(writes)),
    });
    await using engine = new MvccEngine(backend, {}, { clock: systemClock });
    await engine.leaseGrant({ id: 9n, ttl: 60 });
    await engine.put({ key: bytes('a'), value: bytes('1'), lease: 9n });
    const closed = Promise.withResolvers<void>();
    gate = closed.promise;
    const revoking = engine.leaseRevoke(9n);
    const told: string[] = [];
    const asking = engine.leaseTimeToLive(9n, true).then(({ ttl }) => told.push(`time to live ${ttl}`));
    const listing = engine.leases().then((ids) => told.push(`leases ${ids.length}`));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect({ told, count: (await engine.range(everything)).count }).toEqual({ told: [], count: 1 });
    closed.resolve();
    await Promise.all([revoking, asking, listing]);
    expect({ told: told.toSorted(), count: (await engine.range(everything)).count }).toEqual({
      told: ['leases 0', 'time to live -1'],
      count: 0,
    });
  });

  test('a lease, and a key that it has, is told of when it is so on disk', async () => {
    let gate = Promise.resolve();
    const tables = await openTables(directory);
    const backend = new LmdbBackend(tables, {
      write: (writes) => gate.then(() => lmdbWriter(tables)(writes)),
    });
    await using engine = new MvccEngine(backend, {}, { clock: systemClock });
    await engine.leaseGrant({ id: 9n, ttl: 60 });
    const closed = Promise.withResolvers<void>();
    gate = closed.promise;
    const writing = [
      engine.put({ key: bytes('a'), value: bytes('1'), lease: 9n }),
      engine.leaseGrant({ id: 10n, ttl: 60 }),
    ];
    const told: string[] = [];
    const asking = [9n, 10n].map((id) =>
      engine.leaseTimeToLive(id, true).then(({ keys }) => told.push(`${id} has ${keys.length}`)),
    );
    // Whoever is about to write builds on what is written already.
    expect(await engine.leaseKeys(9n)).toHaveLength(1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(told).toEqual([]);
    closed.resolve();
    await Promise.all([...writing, ...asking]);
    expect(told.toSorted()).toEqual(['10 has 0', '9 has 1']);
  });

  test('after an orderly stop a lease goes on with the time it had left, after a kill with all of it', async () => {
    const clock = new VirtualClock();
    const left = async (engine: Engine): Promise<readonly number[]> =>
      Promise.all([1n, 2n, 3n].map(async (id) => (await engine.leaseTimeToLive(id, false)).ttl));
    {
      await using engine = await openEmbeddedEngine({ directory, clock });
      for (const id of [1n, 2n]) await engine.leaseGrant({ id, ttl: 600 });
      await engine.leaseGrant({ id: 3n, ttl: 102 });
      await engine.put({ key: bytes('a'), value: bytes('1'), lease: 1n });
      await clock.advance(100_000);
      await engine.leaseKeepAlive(2n);
    }
    // What lies between does not count.
    await clock.advance(1_000_000);
    const tables = await openTables(directory);
    const log = openLog(tables);
    const engine = new MvccEngine(new LmdbBackend(tables, { log, clock: systemClock }), {}, { clock });
    expect(await left(engine)).toEqual([500, 600, 5]);
    expect((await engine.leaseTimeToLive(1n, true)).keys).toEqual([bytes('a')]);
    // As a kill ends it.
    log.close(true);
    await closeTables(tables);
    await using again = await openEmbeddedEngine({ directory, clock });
    expect(await left(again)).toEqual([600, 600, 102]);
    await clock.advance(600_000);
    await untilTrue(async () => (await again.range(everything)).count === 0);
  });

  test('a commit that finds the disk full is undone, and the next one passes', async () => {
    let full = true;
    const tables = await openTables(directory);
    const backend = new LmdbBackend(tables, {
      write: (writes) =>
        full ? Promise.reject(new Error('ENOSPC: No space left on device')) : lmdbWriter(tables)(writes),
    });
    await using engine = new MvccEngine(backend, {}, { clock: systemClock });
    const failing = await Promise.allSettled([
      put(engine, 'a', '1'),
      put(engine, 'a', '2'),
      engine.leaseGrant({ id: 9n, ttl: 60 }),
    ]);
    expect(failing.map((one) => one.status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(failing[0]).toMatchObject({ reason: { grpcCode: 8 } });
    full = false;
    expect(engine.broken.aborted).toBe(false);
    expect(await put(engine, 'a', '3')).toEqual({ revision: 2 });
    expect((await engine.range({ key: bytes('a') })).kvs.map(plainKeyValue)).toMatchObject([
      { version: 1, value: bytes('3') },
    ]);
    expect(await engine.leases()).toEqual([]);
    // History that is compacted and held is what there may be room by.
    using held = engine.hold();
    await put(engine, 'a', '4');
    await engine.compact(3);
    expect((await held.range(everything)).count).toBe(1);
    full = true;
    await expect(put(engine, 'a', '5')).rejects.toMatchObject({ grpcCode: 8 });
    await expect(held.range(everything)).rejects.toMatchObject({ grpcCode: 11 });
    full = false;
  });

  test('after any other failed commit it writes no more, and says why', async () => {
    const tables = await openTables(directory);
    const cause = new Error('EIO: input/output error');
    const backend = new LmdbBackend(tables, { write: () => Promise.reject(cause) });
    await using engine = new MvccEngine(backend, {}, { clock: systemClock });
    await expect(put(engine, 'a', '1')).rejects.toMatchObject({ grpcCode: 14, cause });
    await expect(put(engine, 'b', '1')).rejects.toMatchObject({ grpcCode: 14, cause });
    const message = 'The store cannot be written to any more and has to be started again: EIO: input/output error';
    expect((await engine.status()).problem).toEqual({ type: 'broken', message });
    expect(engine.broken.reason).toMatchObject({ code: 'KVSTORE_BROKEN', message, cause });
    expect((await engine.range(everything)).count).toBe(0);
  });

  test('a long read holds its snapshot while others write', async () => {
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
    await Promise.all(Array.from({ length: 8000 }, (_, i) => put(engine, `k${i}`, 'before'.repeat(40))));
    const reading = engine.range(everything);
    const writing = Promise.all(Array.from({ length: 500 }, (_, i) => put(engine, `k${i * 16}`, 'after')));
    const { kvs, count } = await reading;
    await writing;
    expect(count).toBe(8000);
    expect(kvs.every((kv) => kv.value.length === 240)).toBe(true);
  });

  test('a transaction that reads is of one revision, and others are answered while it does', async () => {
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
    await Promise.all(Array.from({ length: 8000 }, (_, i) => put(engine, `k${i}`, 'before')));
    const { revision } = engine;
    const range: RequestOp = { type: 'range', request: everything };
    const single: RequestOp = { type: 'range', request: { key: bytes('k16') } };
    const nested: RequestOp = {
      type: 'txn',
      request: {
        compare: [{ key: bytes('new'), target: 'version', result: 'equal' }],
        success: [range, single],
        failure: [],
      },
    };
    const state = { reading: true };
    const answer = engine
      .txn({ compare: [], success: [...Array.from({ length: 20 }, () => nested), range, single], failure: [] })
      .finally(() => (state.reading = false));
    let written = 0;
    while (state.reading) {
      await Promise.all([put(engine, 'k16', 'after'), put(engine, 'new', 'x'), put(engine, `m${written}`, 'x')]);
      written += 1;
    }
    expect(written).toBeGreaterThan(1);
    const [first, ...others] = flat(await answer);
    expect(first).toMatchObject({ revision, count: 8000 });
    for (const { count, revision: at, kvs } of others) {
      expect({ at, count: count > 1 ? 8000 : 1 }).toEqual({ at: revision, count });
      expect(kvs.every((kv) => Buffer.from(kv.value).toString() === 'before')).toBe(true);
    }
    expect(others).toHaveLength(41);
  });

  test('a transaction of few keys, each of which is large, lets others be answered, too', async () => {
    await using engine = await openEmbeddedEngine({ directory, clock: systemClock });
    await engine.put({ key: bytes('large'), value: new Uint8Array(1_400_000) });
    const success = Array.from({ length: 128 }, (): RequestOp => ({ type: 'range', request: { key: bytes('large') } }));
    const order: string[] = [];
    const long = engine.txn({ compare: [], success, failure: [] }).then(() => order.push('long'));
    await engine.range({ key: bytes('other') }).then(() => order.push('short'));
    await long;
    expect(order).toEqual(['short', 'long']);
  });

  test('a read that takes longer than a minute is given up, since its snapshot keeps space from being used again', async () => {
    const clock = new VirtualClock();
    const tables = await openTables(directory);
    await using engine = new MvccEngine(new LmdbBackend(tables, { log: openLog(tables), clock }), {}, { clock });
    await Promise.all(Array.from({ length: 8000 }, (_, i) => put(engine, `k${i}`, 'x'.repeat(1000))));
    const success: RequestOp[] = Array.from({ length: 100 }, () => ({ type: 'range', request: everything }));
    const [refused] = await Promise.allSettled([
      engine.txn({ compare: [], success, failure: [] }),
      clock.advance(60_001),
    ]);
    const timedOut = { grpcCode: 14, message: 'etcdserver: request timed out' };
    expect(refused).toMatchObject({ status: 'rejected', reason: timedOut });
    expect((await engine.range(everything)).count).toBe(8000);
  });

  test('a long read ends when nobody waits for it, and when the engine is closed', async () => {
    const engine = await openEmbeddedEngine({ directory, clock: systemClock });
    await Promise.all(Array.from({ length: 8000 }, (_, i) => put(engine, `k${i}`, 'x'.repeat(1000))));
    const success: RequestOp[] = Array.from({ length: 100 }, () => ({ type: 'range', request: everything }));
    const transaction = { compare: [], success, failure: [] };
    let held = 0;
    const reader = {
      took(more: number): void {
        held += more;
        if (held > 10_000_000) throw new Error('too much');
      },
    };
    await expect(engine.txn(transaction, reader)).rejects.toThrow('too much');
    expect(held).toBeLessThan(12_000_000);
    const reading = engine.txn(transaction);
    const closing = engine[Symbol.asyncDispose]();
    await expect(reading).rejects.toMatchObject({ grpcCode: 14 });
    await closing;
  });
});

/** The answers of all ranges, nested ones too. */
function flat({ responses }: TxnResponse): RangeResponse[] {
  return responses.flatMap((one) =>
    one.type === 'range' ? [one.response] : one.type === 'txn' ? flat(one.response) : [],
  );
}

async function untilTrue(check: () => Promise<boolean>): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`Never so: ${check.toString()}`);
}
