import type { KeyValue, RangeRequest, RangeResponse } from '../contract/index.ts';
import { engineErrors } from './engine-errors.ts';
import type { PageCounts } from './page-counts.ts';
import { type View, plainKeyValue } from './row.ts';
import { sortKeyValues } from './sort.ts';
import { Span } from './span.ts';
import { Pace, type Steps, bytesOf, rowsOf, stepRows } from './steps.ts';

const nothing = new Uint8Array(0);

export interface ReadOptions {
  readonly counts?: PageCounts;
  /** The revision is held for this read, compacted or not. */
  readonly held?: boolean;
  /** Told now and then by how many bytes the answer has grown. May throw to end the read. */
  readonly took?: ((bytes: number) => void) | undefined;
}

/**
 * etcd's Range (`server/etcdserver/txn`, `storage/mvcc/kvstore_txn.go`): without order or filters the walk ends after
 * the limit, otherwise all is looked at, filtered, sorted and cut. `count` always counts the whole range.
 */
export function* rangeSteps(view: View, request: RangeRequest, options: ReadOptions = {}): Steps<RangeResponse> {
  const span = new Span(request);
  const wanted = request.revision ?? 0;
  const revision = view.revision;
  if (wanted > revision) throw engineErrors.futureRevision();
  if (wanted > 0 && wanted < view.compactRevision && !options.held) throw engineErrors.compacted();
  const at = wanted > 0 && wanted < revision ? wanted : undefined;
  if (request.countOnly) return { revision, kvs: [], more: false, count: yield* countAt(view, span, at) };
  const { kvs, count } = span.single
    ? yield* single(view, request, at, options)
    : yield* walk(view, span, request, at, options);
  yield* sortKeyValues(kvs, request.sortTarget ?? 'key', request.sortOrder ?? 'none');
  const more = request.limit !== undefined && request.limit > 0 && kvs.length > request.limit;
  const given = more ? kvs.slice(0, request.limit) : kvs;
  return { revision, kvs: request.keysOnly ? yield* keysOf(given) : given, more, count };
}

interface Found {
  readonly kvs: KeyValue[];
  readonly count: number;
}

function* single(view: View, request: RangeRequest, at: number | undefined, { took }: ReadOptions): Steps<Found> {
  const row = at === undefined ? view.get(request.key) : yield* view.at(request.key, at);
  const kvs = row && passes(request, row.kv) ? [row.kv] : [];
  for (const kv of kvs) took?.(bytesOf(kv));
  yield rowsOf(row);
  return { kvs, count: row ? 1 : 0 };
}

function* walk(
  view: View,
  span: Span,
  request: RangeRequest,
  at: number | undefined,
  { counts, took }: ReadOptions,
): Steps<Found> {
  const limit = walkLimit(request);
  const kvs: KeyValue[] = [];
  const pace = new Pace();
  let live = 0;
  let bytes = 0;
  for (const row of view.range(span, at)) {
    if (row) {
      live += 1;
      if (passes(request, row.kv)) {
        kvs.push(row.kv);
        bytes += bytesOf(row.kv);
      }
      if (live > limit) break;
    }
    if (!pace.looked(row)) continue;
    took?.(bytes);
    bytes = 0;
    yield pace.step();
  }
  took?.(bytes);
  yield pace.step();
  if (live <= limit) return { kvs, count: live };
  const asOf = at ?? view.revision;
  const count = counts?.get(span, asOf) ?? (yield* countAt(view, span, at));
  const last = kvs[limit - 1];
  if (last) counts?.remember(span, asOf, last.key, count, limit);
  return { kvs, count };
}

function* countAt(view: View, span: Span, at: number | undefined): Steps<number> {
  if (at === undefined) return yield* view.count(span);
  const pace = new Pace();
  let count = 0;
  for (const row of view.range(span, at)) {
    if (row) count++;
    if (pace.looked(row)) yield pace.step();
  }
  yield pace.step();
  return count;
}

function* keysOf(kvs: readonly KeyValue[]): Steps<readonly KeyValue[]> {
  const keys: KeyValue[] = [];
  for (const kv of kvs) {
    keys.push({ ...plainKeyValue(kv), value: nothing });
    if (keys.length % stepRows === 0) yield stepRows;
  }
  return keys;
}

/** Whether it looks at one row, which is not worth waiting for a turn. */
export function isShort({ rangeEnd, revision }: Pick<RangeRequest, 'rangeEnd' | 'revision'>): boolean {
  return (rangeEnd === undefined || rangeEnd.length === 0) && (revision ?? 0) === 0;
}

/** How many live rows are looked at; one more tells that there are more. */
export function walkLimit(request: RangeRequest): number {
  const ordered = (request.sortOrder ?? 'none') !== 'none' && !isKeyOrder(request);
  const filtered =
    request.minModRevision || request.maxModRevision || request.minCreateRevision || request.maxCreateRevision;
  // A target without an order sorts too, but in etcd only what the limit left.
  return request.limit && request.limit > 0 && !ordered && !filtered ? request.limit : Infinity;
}

function isKeyOrder(request: RangeRequest): boolean {
  return (request.sortTarget ?? 'key') === 'key' && request.sortOrder === 'ascend';
}

function passes(request: RangeRequest, kv: KeyValue): boolean {
  const { minModRevision, maxModRevision, minCreateRevision, maxCreateRevision } = request;
  if (maxModRevision && kv.modRevision > maxModRevision) return false;
  if (minModRevision && kv.modRevision < minModRevision) return false;
  if (maxCreateRevision && kv.createRevision > maxCreateRevision) return false;
  return !(minCreateRevision && kv.createRevision < minCreateRevision);
}
