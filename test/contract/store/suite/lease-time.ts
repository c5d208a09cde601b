import { expect } from '@jest/globals';
import { type Lease, LeaseNotFoundError } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import type { StoreContext } from './context.ts';
import { eventually } from './waiting.ts';

/**
 * Leases as time passes. Only lower bounds are tested by the clock, since a busy machine makes everything late and
 * nothing early; what has to come is waited for.
 */
export function leaseTimeCases(context: StoreContext, _owes: Owes, patiently: Owes): void {
  patiently('E5', 'a lease keeps itself alive, long beyond its time', async () => {
    const { key, lease, asked } = await leased(context, 5);
    await until(asked + lease.ttlSeconds * (context.promises.endsOnTime ? 1300 : 2200));
    expect(await context.store.get(key)).toBeDefined();
    expect(lease.lost.aborted).toBe(false);
    await lease.revoke();
  });

  patiently(
    'E5',
    'disposing of a lease withdraws nothing; its keys go when its time has run out, never before',
    async () => {
      const { key, lease, asked } = await leased(context, 4);
      await lease[Symbol.asyncDispose]();
      await eventually(async () => (await context.store.get(key)) === undefined);
      expect(performance.now() - asked).toBeGreaterThanOrEqual(lease.ttlSeconds * 1000);
      // It was left on purpose: nobody has to be told.
      expect(lease.lost.aborted).toBe(false);
    },
  );

  patiently('E5', 'a put neither shortens nor ends a lease', async () => {
    const { key, lease, asked } = await leased(context, 4);
    await lease[Symbol.asyncDispose]();
    await until(asked + lease.ttlSeconds * 400);
    // On a machine that stood still the lease may have ended: then at the right time, too.
    await context.store.put(key, 'again', { lease: lease.id }).catch((error: unknown) => {
      if (!(error instanceof LeaseNotFoundError)) throw error;
    });
    await eventually(async () => (await context.store.get(key)) === undefined);
    expect(performance.now() - asked).toBeGreaterThanOrEqual(lease.ttlSeconds * 1000);
  });

  patiently('E5', 'of two leases only the one that is left ends', async () => {
    const left = await leased(context, 4);
    const kept = await leased(context, 15);
    await left.lease[Symbol.asyncDispose]();
    await eventually(async () => (await context.store.get(left.key)) === undefined);
    expect(await context.store.get(kept.key)).toBeDefined();
    expect(kept.lease.lost.aborted).toBe(false);
    await kept.lease.revoke();
  });

  patiently('E6', 'the owner is told when somebody ends its lease', async () => {
    const { lease } = await leased(context, 4);
    await context.opened.revokeLease(lease.id);
    await eventually(() => lease.lost.aborted);
    expect(lease.lost.reason).toBeInstanceOf(LeaseNotFoundError);
    await lease[Symbol.asyncDispose]();
  });

  patiently('E4', 'a lease whose time has run out takes no more keys', async () => {
    const { key, lease } = await leased(context, 4);
    await lease[Symbol.asyncDispose]();
    await eventually(async () => (await context.store.get(key)) === undefined);
    await expect(context.store.put(key, 'x', { lease: lease.id })).rejects.toThrow(LeaseNotFoundError);
  });

  patiently('E8', 'revoking in the middle of a renewal ends the lease once', async () => {
    const { key, lease, asked } = await leased(context, 4);
    let told = 0;
    lease.lost.addEventListener('abort', () => told++);
    // A renewal is due at a third of the time; whether it has gone out or not must not matter.
    await until(asked + (lease.ttlSeconds * 1000) / 3);
    await lease.revoke();
    expect(await context.store.get(key)).toBeUndefined();
    expect(told).toBe(1);
  });
}

/** A key under a lease of its own, and the moment before which neither can have begun. */
async function leased(
  context: StoreContext,
  ttlSeconds: number,
): Promise<{ readonly key: string; readonly lease: Lease; readonly asked: number }> {
  const key = `${context.prefix()}a`;
  const asked = performance.now();
  const lease = await context.store.grantLease({ ttlSeconds });
  await context.store.put(key, 'x', { lease: lease.id });
  return { key, lease, asked };
}

async function until(moment: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, moment - performance.now()));
}
