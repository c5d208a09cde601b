import {
  type Backend,
  type BackendSizes,
  type Change,
  type CommitListener,
  type Hold,
  Holds,
  type Row,
  type Snapshot,
  SortedTexts,
  type Span,
  type Steps,
  type StoredLease,
  engineErrors,
  keyText,
  stepRows,
} from '../engine/index.ts';

/** Versions of one key, oldest first. */
type History = Row[];

/**
 * Rows in memory: every key has its versions, and a log has all of them in order. A commit is the end of the current
 * microtask queue's turn, so that answers and watchers come after the call as they do on disk.
 */
export class MemoryBackend implements Backend {
  readonly clusterId = randomId();
  readonly memberId = randomId();
  readonly maxKeyBytes = Infinity;
  readonly full = false;
  readonly outOfSpace = false;
  readonly damage = undefined;
  readonly #histories = new Map<string, History>();
  readonly #keys = new SortedTexts();
  readonly #leases = new Map<bigint, { readonly ttlSeconds: number; readonly keys: Map<string, Uint8Array> }>();
  #log: Row[] = [];
  #live = 0;
  #appended: number;
  #committed: number;
  #compacted: number;
  #group: { readonly changes: Change[]; readonly done: Promise<void> } | undefined;
  #listener: CommitListener = () => undefined;
  readonly #holds = new Holds(() => this.#forget());
  #closed = false;

  /** @param revision the first one; history before it counts as compacted */
  constructor(revision = 1) {
    this.#appended = revision;
    this.#committed = revision;
    this.#compacted = revision > 1 ? revision : -1;
  }

  get revision(): number {
    return this.#committed;
  }

  get compactRevision(): number {
    return this.#compacted;
  }

  get latest(): Snapshot {
    return {
      stable: false,
      revision: this.#appended,
      compactRevision: this.#compacted,
      get: (key) => this.#at(keyText(key), undefined),
      at: (key, revision) => this.#looksUp(keyText(key), revision),
      range: (span, revision) => this.#range(span, revision),
      count: (span) => this.#counts(span),
      [Symbol.dispose]: () => undefined,
    };
  }

  snapshot(): Snapshot {
    return this.latest;
  }

  sizes(): BackendSizes {
    return { total: 0, inUse: 0, keys: this.#live };
  }

  *log(revision: number, sub = 0): Generator<Row, void, void> {
    const log = this.#log;
    for (let at = firstFrom(log, revision, sub); at < log.length; at++) {
      const row = log[at];
      if (!row || row.kv.modRevision > this.#committed) return;
      yield row;
    }
  }

  replacedBy(row: Row): Row | undefined {
    if (row.kv.modRevision <= this.#compacted) return undefined;
    return this.#at(keyText(row.kv.key), row.kv.modRevision - 1);
  }

  append({ row: given, replaced }: Change): void {
    if (this.#closed) throw engineErrors.stopped();
    // Copies: what comes in may be a view of a buffer that its owner uses again.
    const kv = { ...given.kv, key: new Uint8Array(given.kv.key), value: new Uint8Array(given.kv.value) };
    const row = { ...given, kv };
    const text = keyText(row.kv.key);
    const history = this.#histories.get(text);
    if (history) history.push(row);
    else {
      this.#histories.set(text, [row]);
      this.#keys.add(text);
    }
    this.#live += (row.deleted ? 0 : 1) - (replaced ? 1 : 0);
    if (replaced && replaced.kv.lease !== 0n) this.#leases.get(replaced.kv.lease)?.keys.delete(text);
    if (row.kv.lease !== 0n) this.#leases.get(row.kv.lease)?.keys.set(text, row.kv.key);
    this.#log.push(row);
    this.#appended = row.kv.modRevision;
    this.#gather().changes.push({ row, replaced });
  }

  leases(): readonly StoredLease[] {
    return [...this.#leases].map(([id, lease]) => ({ id, ttlSeconds: lease.ttlSeconds }));
  }

  leaseKeys(id: bigint): Uint8Array[] {
    return [...(this.#leases.get(id)?.keys.values() ?? [])];
  }

  // oxlint-disable-next-line require-yield -- a map gives them at once
  *leaseKeysSteps(id: bigint): Steps<Uint8Array[]> {
    return this.leaseKeys(id);
  }

  putLease(lease: StoredLease): void {
    this.#leases.set(lease.id, { ttlSeconds: lease.ttlSeconds, keys: new Map() });
  }

  /** Nothing of it outlives its process. */
  keepTimes(): void {}

  removeLease(id: bigint): void {
    this.#leases.delete(id);
  }

  async flush(): Promise<void> {
    await this.#group?.done;
  }

  async compact(revision: number): Promise<void> {
    this.#compacted = revision;
    this.#forget();
  }

  hold(revision: number): Hold {
    return this.#holds.add(revision);
  }

  #forget(): void {
    const revision = this.#holds.within(this.#compacted);
    const kept = new Set<Row>();
    for (const [text, history] of this.#histories) {
      const newest = firstFrom(history, revision + 1) - 1;
      const forgotten = history[newest]?.deleted && history[newest].kv.modRevision < revision ? newest + 1 : newest;
      if (forgotten > 0) history.splice(0, forgotten);
      if (history.length === 0) {
        this.#histories.delete(text);
        this.#keys.delete(text);
      } else if (history[0]?.kv.modRevision === revision) kept.add(history[0]);
    }
    this.#log = this.#log.filter((row) => row.kv.modRevision > revision || kept.has(row));
  }

  onCommit(listener: CommitListener): void {
    this.#listener = listener;
  }

  onRollback(): void {
    // Nothing here can fail to be written.
  }

  onBroken(): void {
    // As above.
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush();
    this.#closed = true;
  }

  #gather(): { readonly changes: Change[] } {
    if (this.#group) return this.#group;
    const changes: Change[] = [];
    const done = Promise.resolve().then(() => {
      this.#group = undefined;
      this.#committed = this.#appended;
      this.#listener(changes, this.#committed);
    });
    this.#group = { changes, done };
    return this.#group;
  }

  #at(text: string, revision: number | undefined): Row | undefined {
    const history = this.#histories.get(text);
    const row = revision === undefined ? history?.at(-1) : history?.[firstFrom(history, revision + 1) - 1];
    return row?.deleted ? undefined : row;
  }

  // oxlint-disable-next-line require-yield -- a map gives it at once
  *#looksUp(text: string, revision: number): Steps<Row | undefined> {
    return this.#at(text, revision);
  }

  *#counts(span: Span): Steps<number> {
    let count = 0;
    let looked = 0;
    for (const row of this.#range(span, undefined)) {
      if (row) count++;
      if (++looked % stepRows === 0) yield stepRows;
    }
    yield looked % stepRows;
    return count;
  }

  *#range(span: Span, revision: number | undefined): Generator<Row | undefined, void, void> {
    for (const text of this.#keys.range(keyText(span.start), span.end && keyText(span.end))) {
      yield this.#at(text, revision);
    }
  }
}

/** Index of the first row at `revision` or later. */
function firstFrom(rows: readonly Row[], revision: number, sub = 0): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const row = rows[middle];
    const modRevision = row?.kv.modRevision ?? 0;
    if (modRevision < revision || (modRevision === revision && (row?.sub ?? 0) < sub)) low = middle + 1;
    else high = middle;
  }
  return low;
}

function randomId(): bigint {
  return (crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n) || 1n;
}
