import { describe, expect, test } from '@jest/globals';
import { VirtualClock, systemClock } from '../../../runtime/clock/index.ts';

describe('the virtual clock', () => {
  test('fires timers in order of time, then of creation', async () => {
    const clock = new VirtualClock();
    const fired: string[] = [];
    clock.timer(20, () => fired.push('b'));
    clock.timer(10, () => fired.push('a'));
    clock.timer(20, () => fired.push('c'));
    await clock.advance(19);
    expect(fired).toEqual(['a']);
    await clock.advance(1);
    expect(fired).toEqual(['a', 'b', 'c']);
  });

  test('fires what is set while it advances, and shows each its own time', async () => {
    const clock = new VirtualClock(1000);
    const at: number[] = [];
    const tick = (): void => {
      at.push(clock.now());
      clock.timer(10, tick);
    };
    clock.timer(10, tick);
    await clock.advance(35);
    expect(at).toEqual([1010, 1020, 1030]);
    expect([clock.now(), clock.monotonicMs()]).toEqual([1035, 35]);
  });

  test('does not fire a timer that was disposed of', async () => {
    const clock = new VirtualClock();
    let fired = 0;
    clock.timer(5, () => fired++)[Symbol.dispose]();
    await clock.advance(10);
    expect(fired).toBe(0);
  });

  test('sleeps until its time, or throws the reason of an abort and forgets the timer', async () => {
    const clock = new VirtualClock();
    const order: string[] = [];
    const sleeping = clock.sleep(10).then(() => order.push('slept'));
    await clock.advance(9);
    order.push('nine');
    await clock.advance(1);
    await sleeping;
    expect(order).toEqual(['nine', 'slept']);

    const controller = new AbortController();
    const aborted = clock.sleep(10, controller.signal);
    controller.abort(new Error('Enough'));
    await expect(aborted).rejects.toThrow('Enough');
    await expect(clock.sleep(1, controller.signal)).rejects.toThrow('Enough');
  });

  test('steps wall time without moving the monotonic one', () => {
    const clock = new VirtualClock(5000);
    clock.stepWall(-2000);
    expect([clock.now(), clock.monotonicMs()]).toEqual([3000, 0]);
  });
});

describe('the system clock', () => {
  test('throws the reason of an abort, not an error of its own', async () => {
    const controller = new AbortController();
    const sleeping = systemClock.sleep(60_000, controller.signal);
    const reason = new Error('Enough');
    controller.abort(reason);
    await expect(sleeping).rejects.toBe(reason);
  });

  test('does not fire at once for a delay that is longer than the runtime keeps', async () => {
    let fired = 0;
    using _timer = systemClock.timer(2 ** 31 + 1000, () => fired++);
    const controller = new AbortController();
    const sleeping = systemClock.sleep(Infinity, controller.signal).then(
      () => fired++,
      () => undefined,
    );
    await systemClock.sleep(20);
    controller.abort();
    await sleeping;
    expect(fired).toBe(0);
  });
});
