import type { KeyValue, RangeRequest } from '../contract/index.ts';

/**
 * Sorts in place as etcd's Range does; rows come in key order already. A target without order means ascending. Ties stay in
 * key order: etcd's own sort is not stable beyond a dozen rows and promises nothing there.
 */
export function sortKeyValues(
  kvs: KeyValue[],
  target: NonNullable<RangeRequest['sortTarget']>,
  order: NonNullable<RangeRequest['sortOrder']>,
): void {
  if (target === 'key') {
    if (order === 'descend') kvs.reverse();
    return;
  }
  const ascending = comparators[target];
  kvs.sort(order === 'descend' ? (a, b) => ascending(b, a) : ascending);
}

const comparators = {
  version: (a: KeyValue, b: KeyValue) => a.version - b.version,
  create: (a: KeyValue, b: KeyValue) => a.createRevision - b.createRevision,
  mod: (a: KeyValue, b: KeyValue) => a.modRevision - b.modRevision,
  value: (a: KeyValue, b: KeyValue) => Buffer.compare(a.value, b.value),
} as const;
