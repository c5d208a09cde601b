import { describe, expect, test } from '@jest/globals';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const key = Buffer.from('a');
const put = (engine: MemoryEngine, lease: bigint): Promise<unknown> =>
  engine.put({ key, value: Buffer.from('x'), lease });
const present = async (engine: MemoryEngine): Promise<boolean> => (await engine.range({ key })).count === 1;

describe('leases by an injected clock', () => {
  test('the keys of a lease are there until its last millisecond and gone after it', async () => {
    const clock = new VirtualClock();
    await using engine = new MemoryEngine({ clock });
    const { id } = await engine.leaseGrant({ id: 0n, ttl: 10 });
    await put(engine, id);
    await clock.advance(9_999);
    expect(await present(engine)).toBe(true);
    await clock.advance(1);
    expect(await present(engine)).toBe(false);
    expect(await engine.leases()).toEqual([]);
  });

  test('leases of many keys that end together do so one after the other, and others have their turn in between', async () => {
    const clock = new VirtualClock();
    await using engine = new MemoryEngine({ clock });
    for (let lease = 1n; lease <= 3n; lease++) {
      await engine.leaseGrant({ id: lease, ttl: 10 });
      for (let i = 0; i < 1000; i++) void engine.put({ key: Buffer.from(`${lease}/${i}`), value: key, lease });
    }
    await put(engine, 0n);
    const handed: number[] = [];
    engine.watch(
      { key: Buffer.from('1'), rangeEnd: Buffer.from('4') },
      { events: (events) => void handed.push(events.length), compacted: () => undefined, failed: () => undefined },
    );
    await clock.advance(10_000);
    await clock.advance(0);
    await clock.advance(0);
    expect(handed).toEqual([1000, 1000, 1000]);
    expect(await engine.leases()).toEqual([]);
    expect((await engine.range({ key: Buffer.from('1'), rangeEnd: Buffer.from('4') })).count).toBe(0);
  });

  test('a renewal gives the full time again', async () => {
    const clock = new VirtualClock();
    await using engine = new MemoryEngine({ clock });
    const { id } = await engine.leaseGrant({ id: 0n, ttl: 10 });
    await put(engine, id);
    await clock.advance(9_000);
    expect(await engine.leaseKeepAlive(id)).toMatchObject({ id, ttl: 10 });
    await clock.advance(9_999);
    expect(await present(engine)).toBe(true);
    await clock.advance(1);
    expect(await present(engine)).toBe(false);
  });

  test('a renewal of an unknown lease says 0, a question about it −1', async () => {
    await using engine = new MemoryEngine({ clock: new VirtualClock() });
    expect(await engine.leaseKeepAlive(7n)).toMatchObject({ id: 7n, ttl: 0 });
    expect(await engine.leaseTimeToLive(7n, true)).toMatchObject({ ttl: -1, grantedTtl: 0, keys: [] });
  });

  test.each([3_600_000, -3_600_000])('a step of the wall clock by %d ms changes nothing', async (step) => {
    const clock = new VirtualClock();
    await using engine = new MemoryEngine({ clock });
    const { id } = await engine.leaseGrant({ id: 0n, ttl: 10 });
    await engine.put({ key: Buffer.from('k'), value: Buffer.from('x'), lease: id });
    clock.stepWall(step);
    await clock.advance(5_000);
    expect((await engine.leaseTimeToLive(id, false)).ttl).toBe(5);
    await clock.advance(5_000);
    expect((await engine.leaseTimeToLive(id, false)).ttl).toBe(-1);
    expect((await engine.range({ key: Buffer.from('k') })).kvs).toEqual([]);
  });

  test('many leases end in the order of their deadlines, each in its own revision', async () => {
    const clock = new VirtualClock();
    await using engine = new MemoryEngine({ clock });
    const deleted: string[] = [];
    engine.watch(
      { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]), noPut: true },
      {
        events: (events) => void deleted.push(...events.map(({ kv }) => `${kv.modRevision} ${String(kv.key)}`)),
        compacted: () => undefined,
        failed: () => undefined,
      },
    );
    for (const ttl of [30, 10, 20]) {
      const { id } = await engine.leaseGrant({ id: 0n, ttl });
      await engine.put({ key: Buffer.from([ttl]), value: Buffer.from('x'), lease: id });
    }
    await clock.advance(60_000);
    expect(deleted).toEqual(['5 10', '6 20', '7 30']);
  });

  test('a lease longer than the longest timer does not end early', async () => {
    const clock = new VirtualClock();
    await using engine = new MemoryEngine({ clock });
    const { id } = await engine.leaseGrant({ id: 5n, ttl: 40 * 24 * 3600 });
    await clock.advance(39 * 24 * 3_600_000);
    expect(await engine.leases()).toEqual([id]);
    await clock.advance(2 * 24 * 3_600_000);
    expect(await engine.leases()).toEqual([]);
  });

  test.each([
    { title: 'an id twice', grant: { id: 5n, ttl: 10 }, code: 9, message: 'etcdserver: lease already exists' },
    {
      title: 'a time beyond the limit',
      grant: { id: 6n, ttl: 9e9 + 1 },
      code: 11,
      message: 'etcdserver: too large lease TTL',
    },
  ])('$title is refused', async ({ grant, code, message }) => {
    await using engine = new MemoryEngine({ clock: new VirtualClock() });
    await engine.leaseGrant({ id: 5n, ttl: 10 });
    await expect(engine.leaseGrant(grant)).rejects.toMatchObject({ grpcCode: code, message });
  });

  test('a shorter time than the shortest is raised to it', async () => {
    await using engine = new MemoryEngine({ clock: new VirtualClock(), minLeaseTtlSeconds: 5 });
    expect((await engine.leaseGrant({ id: 0n, ttl: 1 })).ttl).toBe(5);
    expect((await engine.leaseGrant({ id: 0n, ttl: -1 })).ttl).toBe(5);
    await using asEtcd = new MemoryEngine({ clock: new VirtualClock() });
    expect((await asEtcd.leaseGrant({ id: 0n, ttl: 1 })).ttl).toBe(2);
  });
});
