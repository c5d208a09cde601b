import type { KeyValue, Lease, Lock, LockOptions, WatchBatch } from '../contract/index.ts';
import { HeldLock, LeaseNotFoundError, toText } from '../contract/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';

/** A lock's own lease lives as long as Cilium's. */
export const lockTtlSeconds = 25;

interface LockDependencies {
  readonly grant: (ttlSeconds: number, signal: AbortSignal | undefined) => Promise<Lease>;
  /** Creates the candidate's key. Gives its create revision. */
  readonly create: (key: Uint8Array, lease: bigint, signal: AbortSignal) => Promise<number>;
  readonly get: (key: Uint8Array, signal: AbortSignal) => Promise<KeyValue | undefined>;
  /** The youngest key under `prefix` that is older than `createRevision`. */
  readonly before: (prefix: Uint8Array, createRevision: number, signal: AbortSignal) => Promise<KeyValue | undefined>;
  readonly follow: (key: Uint8Array, signal: AbortSignal) => AsyncIterable<WatchBatch>;
}

/**
 * etcd's mutex (`client/v3/concurrency/mutex.go`): each candidate has a key under `<name>/` on its own lease; the oldest
 * key holds the lock, every other candidate waits for the one right before it.
 */
export async function acquireLock(deps: LockDependencies, name: Uint8Array, options: LockOptions): Promise<Lock> {
  const lease = await deps.grant(options.ttlSeconds ?? lockTtlSeconds, options.signal);
  using waiting = linkedController(options.signal);
  const onLost = (): void => waiting.abort(lease.lost.reason);
  lease.lost.addEventListener('abort', onLost, { once: true });
  try {
    const prefix = Buffer.concat([name, Buffer.from('/')]);
    const key = Buffer.concat([prefix, Buffer.from(lease.id.toString(16))]);
    const createRevision = await deps.create(key, lease.id, waiting.signal);
    for (;;) {
      const rival = await deps.before(prefix, createRevision, waiting.signal);
      if (!rival) break;
      await untilGone(deps, rival.key, waiting.signal);
    }
    const mine = await deps.get(key, waiting.signal);
    if (mine?.createRevision !== createRevision)
      throw new LeaseNotFoundError(`Lock ${toText(name)} was lost while waiting for it`);
    return new HeldLock(key, createRevision, lease, {
      key,
      target: 'create',
      result: 'equal',
      value: createRevision,
    });
  } catch (error) {
    // Nobody shall wait for a candidate that gave up; if it cannot be told now, its lease expires.
    await lease.revoke().catch(() => undefined);
    throw error;
  } finally {
    lease.lost.removeEventListener('abort', onLost);
  }
}

/** Settles once the key does not exist. A prefix is followed, so other keys may show up. */
async function untilGone(deps: LockDependencies, key: Uint8Array, signal: AbortSignal): Promise<void> {
  const isKey = (other: Uint8Array): boolean => Buffer.compare(other, key) === 0;
  let present = false;
  for await (const batch of deps.follow(key, signal)) {
    if (batch.type === 'restart') present = false;
    else if (batch.type === 'changes') {
      for (const event of batch.events) {
        if (event.type === 'put' && isKey(event.entry.key)) present = true;
        else if (event.type === 'delete' && isKey(event.key)) return;
      }
    } else if (!present) return;
  }
  signal.throwIfAborted();
}
