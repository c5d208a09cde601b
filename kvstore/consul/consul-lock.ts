import { linkedController } from '../../runtime/tasks/index.ts';
import type { KeyValue, Lease, Lock, LockOptions } from '../contract/index.ts';
import { HeldLock, LeaseNotFoundError } from '../contract/index.ts';

/** A lock's own lease lives as long as Cilium's. */
const lockTtlSeconds = 25;

interface LockDependencies {
  readonly grant: (ttlSeconds: number, signal: AbortSignal | undefined) => Promise<Lease>;
  /** Creates the candidate's key under its lease. Gives its create revision. */
  readonly create: (key: string, lease: bigint, signal: AbortSignal) => Promise<number>;
  readonly candidates: (prefix: string, signal: AbortSignal) => Promise<readonly KeyValue[]>;
  /** Settles when the key is gone. */
  readonly untilGone: (key: Uint8Array, signal: AbortSignal) => Promise<void>;
}

/**
 * Each candidate has a key under `<name>/` that goes with its session; the oldest holds the lock and the others wait each
 * for the one before. Consul's own locks let waiters in at random, and what they protect is up to those who ask: so here
 * too it is the fence that protects.
 */
export async function acquireLock(deps: LockDependencies, name: string, options: LockOptions): Promise<Lock> {
  const lease = await deps.grant(options.ttlSeconds ?? lockTtlSeconds, options.signal);
  using waiting = linkedController(options.signal);
  const onLost = (): void => waiting.abort(lease.lost.reason);
  lease.lost.addEventListener('abort', onLost, { once: true });
  try {
    const key = `${name}/${lease.id.toString(16)}`;
    const createRevision = await deps.create(key, lease.id, waiting.signal);
    for (;;) {
      const all = await deps.candidates(`${name}/`, waiting.signal);
      const mine = all.find((entry) => entry.lease === lease.id && entry.createRevision === createRevision);
      if (!mine) throw new LeaseNotFoundError(`Lock ${name} was lost while waiting for it`);
      const rival = all
        .filter((entry) => entry.lease !== 0n && entry.createRevision < createRevision)
        .reduce<KeyValue | undefined>((a, b) => (a && a.createRevision > b.createRevision ? a : b), undefined);
      // That the session still holds the key: `check-session` in the transaction itself.
      if (!rival)
        return new HeldLock(mine.key, createRevision, lease, {
          key: mine.key,
          target: 'lease',
          result: 'equal',
          value: lease.id,
        });
      await deps.untilGone(rival.key, waiting.signal);
    }
  } catch (error) {
    // Nobody shall wait for a candidate that gave up; if it cannot be told now, its session expires.
    await lease.revoke().catch(() => undefined);
    throw error;
  } finally {
    lease.lost.removeEventListener('abort', onLost);
  }
}
