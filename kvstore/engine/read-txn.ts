import type { ResponseOp, TxnRequest, TxnResponse } from '../contract/index.ts';
import { type Decided, decide } from './decide.ts';
import { engineErrors } from './engine-errors.ts';
import { type ReadOptions, isShort, rangeSteps } from './read.ts';
import type { View } from './row.ts';
import type { Steps } from './steps.ts';

/** A transaction that changes nothing: all that it compares and reads is of one view, and so of one revision. */
export function* readTxnSteps(view: View, request: TxnRequest, options: ReadOptions = {}): Steps<TxnResponse> {
  const decided = yield* decide(view, request);
  checkRevisions(view, decided);
  return yield* answer(view, decided, options);
}

/** Rows, each of which may have 1.5 MiB, that are looked at without waiting for a turn. */
export const shortRows = 16;

/** Whether it looks at few rows: each of its comparisons and operations at one. */
export function isShortTxn({ compare, success, failure }: TxnRequest): boolean {
  return (
    compare.length + Math.max(success.length, failure.length) <= shortRows &&
    compare.every(isShort) &&
    [...success, ...failure].every((op) => op.type === 'range' && isShort(op.request))
  );
}

function checkRevisions(view: View, { ops }: Decided): void {
  for (const op of ops) {
    if (op.type === 'txn') checkRevisions(view, op.decided);
    else if (op.type === 'range') checkRevision(view, op.request.revision);
  }
}

/** Before anything of a transaction is done. @throws {EngineError} */
export function checkRevision({ revision, compactRevision }: View, wanted: number | undefined): void {
  if (!wanted) return;
  if (wanted > revision) throw engineErrors.futureRevision();
  // A negative one, too: alone etcd takes it for now, inside a transaction it does not.
  if (wanted < compactRevision) throw engineErrors.compacted();
}

function* answer(view: View, { succeeded, ops }: Decided, options: ReadOptions): Steps<TxnResponse> {
  const responses: ResponseOp[] = [];
  for (const op of ops) {
    if (op.type === 'txn') responses.push({ type: 'txn', response: yield* answer(view, op.decided, options) });
    else if (op.type === 'range')
      responses.push({ type: 'range', response: yield* rangeSteps(view, op.request, options) });
    else throw new TypeError(`A transaction that only reads has an operation "${op.type}"`);
  }
  return { revision: view.revision, succeeded, responses };
}
