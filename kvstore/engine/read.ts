import type { KeyValue, RangeRequest, RangeResponse } from '../contract/index.ts';
import { engineErrors } from './engine-errors.ts';
import type { PageCounts } from './page-counts.ts';
import { type View, plainKeyValue } from './row.ts';
import { sortKeyValues } from './sort.ts';
import { Span } from './span.ts';

const nothing = new Uint8Array(0);
/** Rows between two places where a long read may make way for others. */
const sliceRows = 512;

/** Runs a read in one go: inside a transaction, or on a view that would change under a reader that pauses. */
export function readRange(view: View, request: RangeRequest, counts?: PageCounts): RangeResponse {
  const steps = rangeSteps(view, request, counts);
  for (;;) {
    const step = steps.next();
    if (step.done) return step.value;
  }
}

/**
 * etcd's Range (`server/etcdserver/txn`, `storage/mvcc/kvstore_txn.go`): without order or filters the walk ends after
 * the limit, otherwise all is fetched, filtered, sorted and cut. `count` always counts the whole range. Yields now and
 * then, so that a caller on a stable snapshot can let other work run.
 */
export function* rangeSteps(
  view: View,
  request: RangeRequest,
  counts?: PageCounts,
): Generator<void, RangeResponse, void> {
  const span = new Span(request);
  const wanted = request.revision ?? 0;
  const revision = view.revision;
  if (wanted > revision) throw engineErrors.futureRevision();
  if (wanted > 0 && wanted < view.compactRevision) throw engineErrors.compacted();
  const at = wanted > 0 && wanted < revision ? wanted : undefined;
  if (request.countOnly) return { revision, kvs: [], more: false, count: view.count(span, at) };

  if (span.single) {
    const row = view.get(request.key, at);
    return finish(request, revision, row ? [row.kv] : [], row ? 1 : 0);
  }
  const limit = walkLimit(request);
  const kvs: KeyValue[] = [];
  for (const row of view.range(span, at)) {
    kvs.push(row.kv);
    if (kvs.length > limit) break;
    if (kvs.length % sliceRows === 0) yield;
  }
  let count = kvs.length;
  if (count > limit) {
    const asOf = at ?? revision;
    count = counts?.get(span, asOf) ?? view.count(span, at);
    const last = kvs[limit - 1];
    if (last) counts?.remember(span, asOf, last.key, count, limit);
  }
  return finish(request, revision, kvs, count);
}

function walkLimit(request: RangeRequest): number {
  const ordered = (request.sortOrder ?? 'none') !== 'none' && !isKeyOrder(request);
  const filtered =
    request.minModRevision || request.maxModRevision || request.minCreateRevision || request.maxCreateRevision;
  // A target without an order sorts too, but in etcd only what the limit left.
  return request.limit && request.limit > 0 && !ordered && !filtered ? request.limit : Infinity;
}

function isKeyOrder(request: RangeRequest): boolean {
  return (request.sortTarget ?? 'key') === 'key' && request.sortOrder === 'ascend';
}

function finish(request: RangeRequest, revision: number, found: KeyValue[], count: number): RangeResponse {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  let kvs = found;
  if (maxModRevision) kvs = kvs.filter((kv) => kv.modRevision <= maxModRevision);
  if (minModRevision) kvs = kvs.filter((kv) => kv.modRevision >= minModRevision);
  if (maxCreateRevision) kvs = kvs.filter((kv) => kv.createRevision <= maxCreateRevision);
  if (minCreateRevision) kvs = kvs.filter((kv) => kv.createRevision >= minCreateRevision);
  sortKeyValues(kvs, request.sortTarget ?? 'key', request.sortOrder ?? 'none');
  const more = request.limit !== undefined && request.limit > 0 && kvs.length > request.limit;
  if (more) kvs = kvs.slice(0, request.limit);
  if (request.keysOnly) kvs = kvs.map((kv) => ({ ...plainKeyValue(kv), value: nothing }));
  return { revision, kvs, more, count };
}
