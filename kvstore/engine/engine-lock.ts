import {
  type Engine,
  HeldLock,
  type Lease,
  LeaseNotFoundError,
  type Lock,
  type LockOptions,
} from '../contract/index.ts';
import { toText } from '../contract/index.ts';
import { prefixRange } from './translate.ts';

const defaultTtlSeconds = 25;

interface LockDependencies {
  readonly engine: Engine;
  readonly closing: AbortSignal;
  readonly grant: (ttlSeconds: number) => Promise<Lease>;
  readonly call: <T extends { readonly revision: number }>(call: () => Promise<T>) => Promise<T>;
}

/**
 * etcd's mutex (`client/v3/concurrency/mutex.go`): each candidate has a key under `<name>/` on its own lease; the one
 * with the lowest create revision holds the lock, the others wait for the one right before them.
 */
export async function acquireLock(deps: LockDependencies, name: Uint8Array, options: LockOptions): Promise<Lock> {
  const lease = await deps.grant(options.ttlSeconds ?? defaultTtlSeconds);
  try {
    const key = Buffer.concat([name, Buffer.from(`/${lease.id.toString(16)}`)]);
    const put = await deps.call(() => deps.engine.put({ key, value: new Uint8Array(0), lease: lease.id }));
    await waitForTurn(deps, prefixRange(Buffer.concat([name, Buffer.from('/')])), put.revision, lease, options.signal);
    const { kvs } = await deps.call(() => deps.engine.range({ key }));
    if (kvs[0]?.createRevision !== put.revision)
      throw new LeaseNotFoundError(`Lock ${toText(name)} was lost while waiting for it`);
    return new HeldLock(key, put.revision, lease, {
      key,
      target: 'create',
      result: 'equal',
      value: put.revision,
    });
  } catch (error) {
    // Nobody shall wait for a candidate that gave up.
    await lease.revoke().catch(() => undefined);
    throw error;
  }
}

async function waitForTurn(
  deps: LockDependencies,
  range: { readonly key: Uint8Array; readonly rangeEnd: Uint8Array },
  mine: number,
  lease: Lease,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (;;) {
    const before = await deps.call(() =>
      deps.engine.range({
        ...range,
        maxCreateRevision: mine - 1,
        sortTarget: 'create',
        sortOrder: 'descend',
        limit: 1,
        keysOnly: true,
      }),
    );
    const rival = before.kvs[0];
    if (!rival) return;
    await deletionOf(deps, rival.key, before.revision + 1, [signal, lease.lost, deps.closing]);
  }
}

/** Settles when the key is deleted (or history is too short to know: look again). @throws the reason of a signal. */
async function deletionOf(
  deps: LockDependencies,
  key: Uint8Array,
  startRevision: number,
  signals: readonly (AbortSignal | undefined)[],
): Promise<void> {
  for (const signal of signals) signal?.throwIfAborted();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const watcher = deps.engine.watch(
    { key, startRevision, noPut: true },
    { events: () => resolve(), compacted: () => resolve(), failed: reject },
  );
  const links = signals.map((signal) => {
    const onAbort = (): void => reject(signal?.reason as Error);
    signal?.addEventListener('abort', onAbort, { once: true });
    return () => signal?.removeEventListener('abort', onAbort);
  });
  try {
    await promise;
  } finally {
    watcher.cancel();
    for (const unlink of links) unlink();
  }
}
