import { describe, expect, test } from '@jest/globals';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { type RetryOptions, exponential, linear, retry } from '../../../runtime/retry/index.ts';

const schedule = exponential({ firstMs: 100, maxMs: 1000, jitter: 0 });

function options(more: Partial<RetryOptions> = {}): RetryOptions & { readonly clock: VirtualClock } {
  return { schedule, signal: new AbortController().signal, random: () => 0, ...more, clock: new VirtualClock() };
}

/** Fails `times` times, then returns how often it was called. */
function failing(times: number): () => Promise<number> {
  let calls = 0;
  return () => (++calls <= times ? Promise.reject(new Error(`Failure ${calls}`)) : Promise.resolve(calls));
}

describe('retry', () => {
  test('returns what the first attempt that works returns, after the delays of the schedule', async () => {
    const delays: number[] = [];
    const given = options({ onFailure: (_, failures, delayMs) => delays.push(failures, delayMs) });
    const result = retry(failing(3), given);
    await given.clock.advance(699);
    expect(delays).toEqual([1, 100, 2, 200, 3, 400]);
    await given.clock.advance(1);
    expect(await result).toBe(4);
  });

  test('begins anew with short delays after a healthy stretch', async () => {
    const delays: number[] = [];
    const given = options({ onFailure: (_, __, delayMs) => delays.push(delayMs), healthyAfterMs: 5000 });
    const lasting = [0, 0, 6000, 0];
    const result = retry(async () => {
      const ms = lasting.shift();
      if (ms === undefined) return 'done';
      await given.clock.sleep(ms);
      throw new Error('Cut');
    }, given);
    await given.clock.advance(10_000);
    expect(await result).toBe('done');
    expect(delays).toEqual([100, 200, 100, 200]);
  });

  test('throws at once what is not worth another attempt', async () => {
    const given = options({ retryable: (error) => (error as Error).message !== 'Failure 2' });
    await Promise.all([expect(retry(failing(5), given)).rejects.toThrow('Failure 2'), given.clock.advance(1000)]);
  });

  test('ends with the reason of an abort, also while it waits', async () => {
    const controller = new AbortController();
    const given = options({ signal: controller.signal });
    const stop = async (): Promise<void> => {
      await given.clock.advance(150);
      controller.abort(new Error('Stop'));
    };
    await Promise.all([expect(retry(failing(100), given)).rejects.toThrow('Stop'), stop()]);
  });

  test('goes on after an attempt that aborted something of its own', async () => {
    const given = options();
    let calls = 0;
    const result = retry(
      () =>
        calls++ === 0 ? Promise.reject(new DOMException('Session closed', 'AbortError')) : Promise.resolve('again'),
      given,
    );
    await given.clock.advance(100);
    expect(await result).toBe('again');
  });
});

describe('schedules', () => {
  test('grow exponentially up to their bound, and jitter only shortens', () => {
    expect([1, 2, 3, 4, 5, 100].map((failures) => schedule(failures, 0.9))).toEqual([100, 200, 400, 800, 1000, 1000]);
    const jittered = exponential({ firstMs: 100, maxMs: 1000 });
    expect([jittered(1, 0), jittered(1, 0.5), jittered(100, 1)]).toEqual([100, 75, 500]);
  });

  test('grow linearly, as those of Cilium do', () => {
    const slow = linear({ stepMs: 1000, maxMs: 3000 });
    expect([1, 2, 3, 4].map((failures) => slow(failures, 0.5))).toEqual([1000, 2000, 3000, 3000]);
    const jittered = linear({ stepMs: 1000, maxMs: 3000, jitter: 0.5 });
    expect([jittered(1, 0), jittered(2, 0.5), jittered(9, 1)]).toEqual([1000, 1500, 1500]);
  });
});
