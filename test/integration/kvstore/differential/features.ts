import type { Known, Operation } from './operation.ts';

type RequestOf<K extends Operation['kind']> = Extract<
  Operation,
  { readonly kind: K; readonly request: unknown }
>['request'];
type Txn = RequestOf<'txn'>;

/** What each operation exercises, for the coverage: every one of {@link everyFeature} must have been asked for. */
export function featuresOf(operation: Operation, known: Known): Set<string> {
  switch (operation.kind) {
    case 'range':
      return new Set(ofRange(operation.request));
    case 'put':
      return new Set(ofPut(operation.request));
    case 'delete':
      return new Set(ofDelete(operation.request));
    case 'txn':
      return new Set([...ofTxn(operation.request, 0), ...ofReading(operation.request)]);
    case 'watch':
      return new Set(ofWatch(operation.request, known));
    case 'time-to-live':
      return new Set(operation.request.keys ? ['lease: time to live with keys'] : []);
    case 'grant':
    case 'revoke':
    case 'leases':
    case 'keep-alive':
    case 'compact':
    case 'cancel-watch':
      return new Set();
  }
}

const targets = ['version', 'create', 'mod', 'value'] as const;
const orders = ['none', 'ascend', 'descend'] as const;

export const everyFeature: readonly string[] = [
  ...['revision', 'limit', 'keys only', 'count only', 'serializable', 'to the end', 'one key'].map(
    (one) => `range: ${one}`,
  ),
  ...['min mod', 'max mod', 'min create', 'max create'].map((one) => `range: ${one}`),
  ...[...targets, 'key'].flatMap((target) => orders.map((order) => `range: sorted by ${target}, ${order}`)),
  ...['lease', 'previous', 'ignore value', 'ignore lease'].map((one) => `put: ${one}`),
  ...['range', 'previous'].map((one) => `delete: ${one}`),
  ...['nested', 'nested twice', 'put', 'range', 'sorted range', 'delete'].map((one) => `txn: ${one}`),
  ...['only reads', 'only reads, nested'].map((one) => `txn: ${one}`),
  ...[...targets, 'lease'].flatMap((target) =>
    ['equal', 'greater', 'less', 'not-equal'].map((result) => `compare: ${target} ${result}`),
  ),
  ...[...targets, 'lease'].map((target) => `compare: ${target} of a range`),
  ...['no put', 'no delete', 'neither', 'previous', 'fragment', 'progress', 'own id'].map((one) => `watch: ${one}`),
  ...['from now', 'past', 'future', 'compacted', 'range', 'one key'].map((one) => `watch: ${one}`),
  'lease: time to live with keys',
  'lease: runs out',
];

function* ofRange(request: RequestOf<'range'>): Generator<string, void, void> {
  if (request.revision) yield 'range: revision';
  if (request.limit) yield 'range: limit';
  if (request.keysOnly) yield 'range: keys only';
  if (request.countOnly) yield 'range: count only';
  if (request.serializable) yield 'range: serializable';
  if (!request.rangeEnd) yield 'range: one key';
  else if (Buffer.from(request.rangeEnd).equals(Buffer.of(0))) yield 'range: to the end';
  if (request.minModRevision) yield 'range: min mod';
  if (request.maxModRevision) yield 'range: max mod';
  if (request.minCreateRevision) yield 'range: min create';
  if (request.maxCreateRevision) yield 'range: max create';
  if (request.sortTarget && request.rangeEnd)
    yield `range: sorted by ${request.sortTarget}, ${request.sortOrder ?? 'none'}`;
}

function* ofPut(request: RequestOf<'put'>): Generator<string, void, void> {
  if (request.lease) yield 'put: lease';
  if (request.prevKv) yield 'put: previous';
  if (request.ignoreValue) yield 'put: ignore value';
  if (request.ignoreLease) yield 'put: ignore lease';
}

function* ofDelete(request: RequestOf<'delete'>): Generator<string, void, void> {
  if (request.rangeEnd) yield 'delete: range';
  if (request.prevKv) yield 'delete: previous';
}

function* ofTxn({ compare = [], success = [], failure = [] }: Txn, depth: number): Generator<string, void, void> {
  for (const one of compare) {
    yield `compare: ${one.target} ${one.result}`;
    if (one.rangeEnd) yield `compare: ${one.target} of a range`;
  }
  for (const op of [...success, ...failure]) {
    if (op.put) yield 'txn: put';
    if (op.range) yield op.range.sortOrder ? 'txn: sorted range' : 'txn: range';
    if (op.deleteRange) yield 'txn: delete';
    if (!op.txn) continue;
    yield depth === 0 ? 'txn: nested' : 'txn: nested twice';
    yield* ofTxn(op.txn, depth + 1);
  }
}

function* ofReading(request: Txn): Generator<string, void, void> {
  const { success = [], failure = [] } = request;
  const ops = [...success, ...failure];
  if (ops.length === 0 || !onlyReads(request)) return;
  yield ops.some(({ txn }) => txn) ? 'txn: only reads, nested' : 'txn: only reads';
}

function onlyReads({ success = [], failure = [] }: Txn): boolean {
  return [...success, ...failure].every(({ range, txn }) => range ?? (txn && onlyReads(txn)));
}

function* ofWatch(request: RequestOf<'watch'>, known: Known): Generator<string, void, void> {
  const filters = request.filters ?? [];
  if (filters.length > 1) yield 'watch: neither';
  else if (filters[0]) yield filters[0] === 'no-put' ? 'watch: no put' : 'watch: no delete';
  if (request.prevKv) yield 'watch: previous';
  if (request.fragment) yield 'watch: fragment';
  if (request.progressNotify) yield 'watch: progress';
  if (request.watchId) yield 'watch: own id';
  yield request.rangeEnd ? 'watch: range' : 'watch: one key';
  const start = request.startRevision ?? 0;
  if (start <= 0) yield 'watch: from now';
  else if (start < known.compactRevision) yield 'watch: compacted';
  else yield start > known.revision ? 'watch: future' : 'watch: past';
}
