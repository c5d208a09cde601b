import type { KeyValue, RangeRequest } from '../contract/index.ts';
import { sortAsGo } from './go-sort.ts';
import type { Steps } from './steps.ts';

/**
 * Sorts in place as etcd's Range does; rows come in key order already. A target without order means ascending. Rows that tie
 * come as Go's sort leaves them, which etcd's clients see.
 */
export function* sortKeyValues(
  kvs: KeyValue[],
  target: NonNullable<RangeRequest['sortTarget']>,
  order: NonNullable<RangeRequest['sortOrder']>,
): Steps<void> {
  if (target === 'key') {
    if (order === 'descend') kvs.reverse();
    return;
  }
  const ascending = comparators[target];
  yield* sortAsGo(kvs, order === 'descend' ? (a, b) => ascending(b, a) < 0 : (a, b) => ascending(a, b) < 0);
}

const comparators = {
  version: (a: KeyValue, b: KeyValue) => a.version - b.version,
  create: (a: KeyValue, b: KeyValue) => a.createRevision - b.createRevision,
  mod: (a: KeyValue, b: KeyValue) => a.modRevision - b.modRevision,
  value: (a: KeyValue, b: KeyValue) => Buffer.compare(a.value, b.value),
} as const;
