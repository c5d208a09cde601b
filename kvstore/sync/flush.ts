import type { Compare, KeyValue, Operation, OperationResult, Store, StoreLimits } from '../contract/index.ts';
import { ClosedError, KvStoreError } from '../contract/index.ts';
import type { LeasePool, LeaseSlot } from './lease-pool.ts';
import { type OwnKey, nothingStored } from './own-keys.ts';

/** Below etcd's `--max-txn-ops` of 128, so that a fence fits in, and a size that stays well below its `--max-request-bytes` of 1.5 MiB. */
const maxOperations = 120;
const maxBytes = 1 << 20;

/** A write as it was decided on: later changes of the key's wish do not touch it. */
type Step =
  | { readonly own: OwnKey; readonly wish: number; readonly value: Uint8Array; readonly slot: LeaseSlot }
  | { readonly own: OwnKey; readonly wish: number; readonly value: undefined };

export interface FlushDependencies {
  readonly store: Pick<Store, 'transact'>;
  readonly pool: LeasePool;
}

/** Cuts keys into parts that fit into one transaction of the store each, keeping their order. */
export function* transactionsOf(keys: readonly OwnKey[], limits?: StoreLimits): Generator<OwnKey[], void, void> {
  const most = Math.min(maxBytes, limits?.maxTransactionBytes ?? maxBytes);
  let part: OwnKey[] = [];
  let bytes = 0;
  for (const own of keys) {
    const size = own.key.length * 3 + (own.desired?.length ?? 0) + 64;
    if (part.length > 0 && (part.length >= maxOperations || bytes + size > most)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(own);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

/**
 * Makes the store hold what is wished of these keys, as one transaction where nobody interferes. A put is unconditional:
 * it takes over what an earlier life of ours left. A delete is guarded by the revision of our own write; a key that
 * somebody else has written since is theirs and stays.
 */
export async function flush(keys: readonly OwnKey[], deps: FlushDependencies, signal: AbortSignal): Promise<void> {
  const steps = await decide(keys, deps.pool, signal);
  if (steps.length === 0) return;
  const deletes = steps.filter(({ value }) => value === undefined);
  const operations = steps.map(operationOf);
  try {
    const result = await deps.store.transact(
      {
        when: deletes.map(({ own }) => unchangedSinceOurWrite(own)),
        then: operations,
        otherwise: deletes.map(({ own }) => ({ type: 'get', key: own.key })),
      },
      { signal },
    );
    if (result.succeeded) {
      confirm(steps, result.revision, deps.pool);
      return;
    }
    const present = new Map(deletes.map(({ own }, i) => [own, entryOf(result.results[i])]));
    await flushAround(steps, present, deps, signal);
  } catch (error) {
    if (mayHaveWritten(error)) for (const { own } of steps) own.doubtful = true;
    throw error;
  }
}

/** Some guard did not hold: writes what is to be put, and of the deletes those whose keys are still ours. */
async function flushAround(
  steps: readonly Step[],
  present: ReadonlyMap<OwnKey, KeyValue | undefined>,
  deps: FlushDependencies,
  signal: AbortSignal,
): Promise<void> {
  const settledSteps: Step[] = [];
  const open: Step[] = [];
  const guards: Compare[] = [];
  for (const step of steps) {
    const entry = present.get(step.own);
    if (step.value !== undefined) open.push(step);
    else if (entry && isOurs(step.own, entry, deps.pool)) {
      open.push(step);
      guards.push({ key: step.own.key, target: 'mod', result: 'equal', value: entry.modRevision });
    } else settledSteps.push(step);
  }
  confirm(settledSteps, 0, deps.pool);
  if (open.length === 0) return;
  const result = await deps.store.transact({ when: guards, then: open.map(operationOf) }, { signal });
  if (!result.succeeded) throw new InterferenceError();
  confirm(open, result.revision, deps.pool);
}

/** Keys changed under our hands twice in a row: the caller tries again. */
export class InterferenceError extends Error {
  override readonly name = 'InterferenceError';
  constructor() {
    super('Cannot delete own keys: they change while they are being looked at');
  }
}

/**
 * Of keys that should be in place, those that are not: deleted or changed by others, or moved to another lease.
 * Reads only. @param keys at most as many as one transaction takes
 */
export async function findStrayed(
  keys: readonly OwnKey[],
  deps: FlushDependencies,
  signal: AbortSignal,
): Promise<OwnKey[]> {
  const result = await deps.store.transact(
    {
      when: keys.map(unchangedSinceOurWrite),
      then: [],
      otherwise: keys.map((own) => ({ type: 'get', key: own.key })),
    },
    { signal },
  );
  if (result.succeeded) return [];
  return keys.filter((own, i) => {
    const entry = entryOf(result.results[i]);
    return entry?.modRevision !== own.stored?.revision;
  });
}

/** A refusal leaves nothing open; anything else may have reached the store. */
function mayHaveWritten(error: unknown): boolean {
  return !(error instanceof KvStoreError) || error.retry !== 'never' || error instanceof ClosedError;
}

async function decide(keys: readonly OwnKey[], pool: LeasePool, signal: AbortSignal): Promise<Step[]> {
  const steps: Step[] = [];
  for (const own of keys) {
    const { wish } = own;
    if (own.desired === undefined) {
      if (nothingStored(own)) own.done = wish;
      else steps.push({ own, wish, value: undefined });
      continue;
    }
    const value = own.desired;
    if (own.slot?.lost) own.slot = undefined;
    own.slot ??= await pool.attach(own.key, signal);
    steps.push({ own, wish, value, slot: own.slot });
  }
  return steps;
}

function operationOf(step: Step): Operation {
  const { key } = step.own;
  if (step.value === undefined) return { type: 'delete', key };
  return { type: 'put', key, value: step.value, lease: step.slot.lease.id };
}

function confirm(steps: readonly Step[], revision: number, pool: LeasePool): void {
  for (const step of steps) {
    const { own } = step;
    own.done = step.wish;
    own.doubtful = false;
    if (step.value === undefined) {
      own.stored = undefined;
      if (own.desired === undefined && own.slot) {
        pool.detach(own.key, own.slot);
        own.slot = undefined;
      }
    } else own.stored = { value: step.value, revision };
  }
}

function unchangedSinceOurWrite(own: OwnKey): Compare {
  // Where our last write is in doubt its revision is unknown: 0 holds for an absent key, and any other gets looked at.
  const value = own.doubtful ? 0 : (own.stored?.revision ?? 0);
  return { key: own.key, target: 'mod', result: 'equal', value };
}

function isOurs(own: OwnKey, entry: KeyValue, pool: LeasePool): boolean {
  if (!pool.owns(entry.lease)) return false;
  return own.doubtful || (own.stored !== undefined && Buffer.compare(entry.value, own.stored.value) === 0);
}

function entryOf(result: OperationResult | undefined): KeyValue | undefined {
  return result?.type === 'get' ? result.entry : undefined;
}
