import { describe, expect, test } from '@jest/globals';
import { LeaseNotFoundError, RenewedLease, UnavailableError } from '../../../../kvstore/contract/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const ttlSeconds = 9;

/** A lease whose store answers as the test says; asked at time 0. */
class Scene {
  readonly clock = new VirtualClock();
  /** When the store was asked to renew, and within how many milliseconds. */
  readonly asked: { readonly atMs: number; readonly timeoutMs: number }[] = [];
  readonly revoked: bigint[] = [];
  ended = 0;
  answer: (signal: AbortSignal) => Promise<number>;
  readonly lease: RenewedLease;

  constructor(answer: (signal: AbortSignal) => Promise<number> = async () => ttlSeconds) {
    this.answer = answer;
    this.lease = new RenewedLease(7n, ttlSeconds, 0, {
      clock: this.clock,
      renew: (_id, signal, timeoutMs) => {
        this.asked.push({ atMs: this.clock.monotonicMs(), timeoutMs });
        return this.answer(signal);
      },
      revoke: async (id) => void this.revoked.push(id),
      ended: () => this.ended++,
    });
  }

  get lost(): boolean {
    return this.lease.lost.aborted;
  }
}

/** What a store does that has stopped: it answers when it is given up. */
const hang = (signal: AbortSignal): Promise<number> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
const fail = async (): Promise<number> => {
  throw new UnavailableError('no connection');
};

describe('a lease that renews itself', () => {
  test('asks at a third of its time, and again a third after each renewal', async () => {
    const scene = new Scene();
    await scene.clock.advance(10_000);
    expect(scene.asked.map(({ atMs }) => atMs)).toEqual([3000, 6000, 9000]);
    expect(scene.lost).toBe(false);
    await scene.lease[Symbol.asyncDispose]();
  });

  test('goes by the time that the store now gives it', async () => {
    const scene = new Scene(async () => 30);
    await scene.clock.advance(14_000);
    expect(scene.asked.map(({ atMs }) => atMs)).toEqual([3000, 13_000]);
    await scene.lease[Symbol.asyncDispose]();
  });

  test.each([
    { what: 'that it has no time left', answer: async () => 0 },
    {
      what: 'that it is not there',
      answer: async () => {
        throw new LeaseNotFoundError('gone');
      },
    },
  ])('is lost at once when the store says $what', async ({ answer }) => {
    const scene = new Scene(answer);
    await scene.clock.advance(3000);
    expect(scene.lost).toBe(true);
    expect(scene.lease.lost.reason).toBeInstanceOf(LeaseNotFoundError);
    expect(scene.ended).toBe(1);
  });

  test('tries again soon after a failure, and is lost when its time has run out, not before', async () => {
    const scene = new Scene(fail);
    await scene.clock.advance(8999);
    expect(scene.lost).toBe(false);
    expect(scene.asked.length).toBeGreaterThan(4);
    await scene.clock.advance(1);
    expect(scene.lost).toBe(true);
  });

  test('survives failures as long as one renewal passes in time', async () => {
    const scene = new Scene(fail);
    await scene.clock.advance(8000);
    scene.answer = async () => ttlSeconds;
    await scene.clock.advance(4000);
    scene.answer = fail;
    expect(scene.lost).toBe(false);
    const last = scene.asked.at(-1)?.atMs ?? 0;
    await scene.clock.advance(last + ttlSeconds * 1000 - scene.clock.monotonicMs() - 1);
    // Renewals that failed meanwhile moved nothing.
    expect(scene.lost).toBe(false);
  });

  test('is lost in time when the store hangs, and the hanging call is given up', async () => {
    let given: AbortSignal | undefined;
    const scene = new Scene((signal) => hang((given = signal)));
    await scene.clock.advance(8999);
    expect(scene.lost).toBe(false);
    expect(scene.asked).toEqual([{ atMs: 3000, timeoutMs: 6000 }]);
    await scene.clock.advance(1);
    expect(scene.lost).toBe(true);
    expect(given?.aborted).toBe(true);
  });

  test('counts from the moment a renewal was asked for, not from its answer', async () => {
    const { promise, resolve } = Promise.withResolvers<number>();
    const scene = new Scene(() => promise);
    await scene.clock.advance(8000);
    resolve(ttlSeconds);
    scene.answer = fail;
    await scene.clock.advance(3999);
    expect(scene.lost).toBe(false);
    await scene.clock.advance(1);
    // Asked at 3 s, so it ends at 12 s.
    expect(scene.lost).toBe(true);
  });

  test('steps of the wall clock do not matter', async () => {
    const scene = new Scene();
    scene.clock.stepWall(3_600_000);
    await scene.clock.advance(3000);
    scene.clock.stepWall(-7_200_000);
    await scene.clock.advance(6000);
    expect(scene.lost).toBe(false);
    expect(scene.asked).toHaveLength(3);
    await scene.lease[Symbol.asyncDispose]();
  });

  test('disposed of, it stops and tells nobody; the store is not asked to end it', async () => {
    const scene = new Scene();
    await scene.lease[Symbol.asyncDispose]();
    await scene.lease[Symbol.asyncDispose]();
    await scene.clock.advance(60_000);
    expect(scene.asked).toEqual([]);
    expect(scene.lost).toBe(false);
    expect(scene.revoked).toEqual([]);
    expect(scene.ended).toBe(1);
  });

  test('disposed of while a renewal hangs, it does not wait for it', async () => {
    const scene = new Scene(hang);
    await scene.clock.advance(3000);
    await scene.lease[Symbol.asyncDispose]();
    expect(scene.lost).toBe(false);
    expect(scene.ended).toBe(1);
  });

  test('revoked while a renewal is under way, it ends once', async () => {
    const scene = new Scene(hang);
    await scene.clock.advance(3000);
    let told = 0;
    scene.lease.lost.addEventListener('abort', () => told++);
    await scene.lease.revoke();
    expect(scene.revoked).toEqual([7n]);
    expect(told).toBe(1);
    await scene.clock.advance(60_000);
    expect(scene.asked).toHaveLength(1);
  });

  test('revoked after it was lost, it is content that the store knows nothing of it', async () => {
    const scene = new Scene(async () => 0);
    await scene.clock.advance(3000);
    await scene.lease.revoke();
    expect(scene.revoked).toEqual([7n]);
    expect(scene.lost).toBe(true);
  });
});
