import { describe, expect, test } from '@jest/globals';
import { RequestLimiter, type RequestLimits } from '../../../../../kvstore/etcd/session/limiter.ts';
import { VirtualClock } from '../../../../../runtime/clock/index.ts';

const never = new AbortController().signal;

/** A limiter with `count` requests that wait for it; tells which were let through. */
function rig(limits: RequestLimits | undefined, count: number) {
  const clock = new VirtualClock();
  const limiter = new RequestLimiter(clock, limits);
  const permits: Disposable[] = [];
  const started: number[] = [];
  const ask = (i: number): Promise<void> =>
    limiter.acquire(never).then((permit) => {
      permits.push(permit);
      started.push(i);
    });
  for (let i = 0; i < count; i++) void ask(i);
  return { clock, limiter, permits, started, ask };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the limits on requests', () => {
  test('let a burst of a second’s worth through, and the rest at their rate, in their order', async () => {
    const { clock, started } = rig({ qps: 20, maxInflight: 1000 }, 50);
    await settle();
    expect(started).toHaveLength(20);
    await clock.advance(500);
    await settle();
    expect(started).toHaveLength(30);
    await clock.advance(1000);
    await settle();
    expect(started).toEqual(Array.from({ length: 50 }, (_, i) => i));
  });

  test('let no more through at a time than there may be in flight, however slow the answers', async () => {
    const { clock, permits, started } = rig({ qps: 100, maxInflight: 2 }, 5);
    await clock.advance(60_000);
    await settle();
    expect(started).toEqual([0, 1]);
    permits[0]?.[Symbol.dispose]();
    // Twice is once.
    permits[0]?.[Symbol.dispose]();
    await settle();
    expect(started).toEqual([0, 1, 2]);
  });

  test('have as many in flight as there are a second, unless told', async () => {
    const { clock, started } = rig({ qps: 3 }, 10);
    await clock.advance(60_000);
    await settle();
    expect(started).toHaveLength(3);
  });

  test('are wider until the process has started up', async () => {
    const { clock, limiter, permits, started, ask } = rig({ qps: 1, maxInflight: 1000, bootstrapQps: 100 }, 100);
    await settle();
    expect(started).toHaveLength(100);
    for (const permit of permits) permit[Symbol.dispose]();
    limiter.bootstrapped();
    for (let i = 100; i < 110; i++) void ask(i);
    await clock.advance(3000);
    await settle();
    expect(started).toHaveLength(103);
  });

  test('forget who gives up waiting', async () => {
    const { clock, limiter, started } = rig({ qps: 1 }, 1);
    const stop = new AbortController();
    const waiting = limiter.acquire(stop.signal);
    stop.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    expect(limiter.waiting).toBe(0);
    await expect(limiter.acquire(stop.signal)).rejects.toThrow('enough');
    await clock.advance(60_000);
    expect(started).toEqual([0]);
  });

  test('are none unless given', async () => {
    const { started } = rig(undefined, 1000);
    await settle();
    expect(started).toHaveLength(1000);
  });
});
