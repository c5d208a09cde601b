import { CompactedError, PermissionDeniedError, type Store } from '../../kvstore/index.ts';

/** A key that went, and when. */
export interface WentKey {
  readonly key: Uint8Array;
  readonly revision: number;
}

/** Batches that take more than this apart are not looked at in full. */
const revisionsAtMost = 16;

/** Whether `prefix` holds a set of which single keys go all the time. */
const changesOften = (prefix: string): boolean => /^cilium\/(?:state|cache)\/(?:ip|nodes)\//.test(prefix);

/**
 * Of each revision in which keys of one set went, one key, where a lease may have taken it: a lease takes all its keys in one revision
 * (etcd `server/lease/lessor.go`). A single address or node is nearly always a deletion, or its own node’s end, and not worth a question.
 */
export function suspects(prefix: string, gone: Iterable<WentKey>): readonly WentKey[] {
  const first = new Map<number, WentKey>();
  const found = new Map<number, WentKey>();
  const atOnce = changesOften(prefix) ? 2 : 1;
  for (const one of gone) {
    const again = first.has(one.revision);
    if (!again) first.set(one.revision, one);
    if ((again || atOnce === 1) && found.size < revisionsAtMost && !found.has(one.revision))
      found.set(one.revision, one);
  }
  return [...found.values()];
}

/**
 * Whether a key went because its lease has ended: it had one before, and that is no more. Where the store has forgotten what was before,
 * or tells nobody of leases, it was deleted for all that can be known.
 */
export async function wentWithLease(
  store: Pick<Store, 'get' | 'leaseTtl'>,
  { key, revision }: WentKey,
  signal: AbortSignal,
): Promise<boolean> {
  if (!store.leaseTtl || revision < 2) return false;
  try {
    const before = await store.get(key, { revision: revision - 1, signal });
    if (before === undefined || before.lease === 0n) return false;
    return (await store.leaseTtl(before.lease, { signal })) === undefined;
  } catch (error) {
    // Only of a lease that is alive can anybody be told that it is none of his business.
    if (error instanceof CompactedError || error instanceof PermissionDeniedError) return false;
    throw error;
  }
}
