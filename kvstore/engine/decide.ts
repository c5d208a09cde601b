import { type EngineCompare, type RequestOp, type TxnRequest, ordered } from '../contract/index.ts';
import type { Row, View } from './row.ts';
import { Span } from './span.ts';
import { Pace, type Steps, rowsOf } from './steps.ts';

const nothing = new Uint8Array(0);

/** A transaction whose comparisons are done: what is left are the operations of the branches that they chose. */
export interface Decided {
  readonly succeeded: boolean;
  readonly ops: readonly DecidedOp[];
}

export type DecidedOp =
  | Exclude<RequestOp, { readonly type: 'txn' }>
  | { readonly type: 'txn'; readonly decided: Decided };

/** All comparisons, nested ones too, see the same state: that before the first write. */
export function* decide(view: View, request: TxnRequest): Steps<Decided> {
  let succeeded = true;
  for (const compare of request.compare) {
    succeeded = yield* holds(view, compare);
    if (!succeeded) break;
  }
  const ops: DecidedOp[] = [];
  for (const op of succeeded ? request.success : request.failure)
    ops.push(op.type === 'txn' ? { type: 'txn', decided: yield* decide(view, op.request) } : op);
  return { succeeded, ops };
}

/** Whether neither branch, nested ones included, can change anything. */
export function onlyReads({ success, failure }: TxnRequest): boolean {
  const reads = (op: RequestOp): boolean => op.type === 'range' || (op.type === 'txn' && onlyReads(op.request));
  return success.every(reads) && failure.every(reads);
}

/** A range holds if every key in it does; an empty one is one absent key, except that no value compares to it. */
function* holds(view: View, compare: EngineCompare): Steps<boolean> {
  const span = new Span(compare);
  if (span.single) {
    const row = view.get(compare.key);
    yield rowsOf(row);
    return holdsFor(compare, row);
  }
  let any = false;
  const pace = new Pace();
  for (const row of view.range(span)) {
    if (row) {
      any = true;
      if (!holdsFor(compare, row)) return false;
    }
    if (pace.looked(row)) yield pace.step();
  }
  yield pace.step();
  return any || holdsFor(compare, undefined);
}

function holdsFor(compare: EngineCompare, row: Row | undefined): boolean {
  // An absent key has no value to compare with: etcd fails every comparison of it, whatever the operator.
  if (!row && compare.target === 'value') return false;
  return ordered(compare.result, differenceOf(compare, row));
}

/** Sign of what is stored minus what the comparison names. */
function differenceOf(compare: EngineCompare, row: Row | undefined): number {
  switch (compare.target) {
    case 'version':
      return (row?.kv.version ?? 0) - (compare.version ?? 0);
    case 'create':
      return (row?.kv.createRevision ?? 0) - (compare.createRevision ?? 0);
    case 'mod':
      return (row?.kv.modRevision ?? 0) - (compare.modRevision ?? 0);
    case 'value':
      return Buffer.compare(row?.kv.value ?? nothing, compare.value ?? nothing);
    case 'lease': {
      const stored = row?.kv.lease ?? 0n;
      const named = compare.lease ?? 0n;
      return stored < named ? -1 : stored > named ? 1 : 0;
    }
  }
}
