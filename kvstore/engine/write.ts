import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  EngineCompare,
  KeyValue,
  PutRequest,
  PutResponse,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '../contract/index.ts';
import type { Backend } from './backend.ts';
import { engineErrors } from './engine-errors.ts';
import { readRange } from './read.ts';
import type { Row } from './row.ts';
import { Span } from './span.ts';

const nothing = new Uint8Array(0);

/**
 * One write transaction of etcd's: everything it writes becomes one revision, the one after the last. What it reads
 * includes what it wrote. Checks come before the first write; after them nothing can fail.
 */
export class WriteTransaction {
  readonly #backend: Backend;
  readonly #hasLease: (id: bigint) => boolean;
  readonly #revision: number;
  #sub = 0;

  constructor(backend: Backend, hasLease: (id: bigint) => boolean) {
    this.#backend = backend;
    this.#hasLease = hasLease;
    this.#revision = backend.latest.revision + 1;
  }

  put(request: PutRequest): PutResponse {
    // Alone, a put misses its lease before its key; inside a transaction etcd looks the other way round.
    if (request.lease && !this.#hasLease(request.lease)) throw engineErrors.leaseNotFound();
    this.#checkPut(request);
    return this.#put(request);
  }

  deleteRange(request: DeleteRangeRequest): DeleteRangeResponse {
    const prevKvs: KeyValue[] = [];
    let deleted = 0;
    for (const row of this.#rowsToDelete(request)) {
      if (request.prevKv) prevKvs.push(row.kv);
      this.#delete(row);
      deleted++;
    }
    return { revision: this.#backend.latest.revision, deleted, prevKvs };
  }

  /** Deletes the keys of a lease in byte order, as one revision. */
  deleteKeys(keys: readonly Uint8Array[]): void {
    for (const key of keys.toSorted((a, b) => Buffer.compare(a, b))) {
      const row = this.#backend.latest.get(key);
      if (row) this.#delete(row);
    }
  }

  txn(request: TxnRequest): TxnResponse {
    const path = this.#decide(request);
    this.#checkBranch(path);
    return this.#run(path);
  }

  /** All comparisons, nested ones too, see the state before the first write. */
  #decide(request: TxnRequest): Decided {
    const succeeded = request.compare.every((compare) => this.#holds(compare));
    const ops = (succeeded ? request.success : request.failure).map((op): DecidedOp =>
      op.type === 'txn' ? { type: 'txn', decided: this.#decide(op.request) } : op,
    );
    return { succeeded, ops };
  }

  #checkBranch(decided: Decided): void {
    const { revision, compactRevision } = this.#backend.latest;
    for (const op of decided.ops) {
      if (op.type === 'txn') this.#checkBranch(op.decided);
      else if (op.type === 'put') this.#checkPut(op.request);
      else if (op.type === 'range' && op.request.revision) {
        if (op.request.revision > revision) throw engineErrors.futureRevision();
        // A negative one, too: alone etcd takes it for now, inside a transaction it does not.
        if (op.request.revision < compactRevision) throw engineErrors.compacted();
      }
    }
  }

  #run(decided: Decided): TxnResponse {
    const responses = decided.ops.map((op): ResponseOp => {
      switch (op.type) {
        case 'put':
          return { type: 'put', response: this.#put(op.request) };
        case 'delete':
          return { type: 'delete', response: this.deleteRange(op.request) };
        case 'range':
          return { type: 'range', response: readRange(this.#backend.latest, op.request) };
        case 'txn':
          return { type: 'txn', response: this.#run(op.decided) };
      }
    });
    return { revision: this.#backend.latest.revision, succeeded: decided.succeeded, responses };
  }

  #checkPut(request: PutRequest): void {
    if ((request.ignoreValue || request.ignoreLease) && !this.#backend.latest.get(request.key))
      throw engineErrors.keyNotFound();
    if (request.lease && !this.#hasLease(request.lease)) throw engineErrors.leaseNotFound();
  }

  #put(request: PutRequest): PutResponse {
    const replaced = this.#backend.latest.get(request.key);
    const sub = this.#sub++;
    const row: Row = {
      kv: {
        key: request.key,
        value: request.ignoreValue && replaced ? replaced.kv.value : request.value,
        createRevision: replaced?.kv.createRevision ?? this.#revision,
        modRevision: this.#revision,
        version: (replaced?.kv.version ?? 0) + 1,
        lease: request.ignoreLease && replaced ? replaced.kv.lease : (request.lease ?? 0n),
      },
      deleted: false,
      sub,
      createSub: replaced?.createSub ?? sub,
    };
    this.#backend.append({ row, replaced });
    return { revision: this.#revision, ...(request.prevKv && replaced ? { prevKv: replaced.kv } : {}) };
  }

  #rowsToDelete(request: DeleteRangeRequest): readonly Row[] {
    const span = new Span(request);
    if (!span.single) return [...this.#backend.latest.range(span)];
    const row = this.#backend.latest.get(request.key);
    return row ? [row] : [];
  }

  #delete(replaced: Row): void {
    const kv: KeyValue = {
      key: replaced.kv.key,
      value: nothing,
      createRevision: 0,
      modRevision: this.#revision,
      version: 0,
      lease: 0n,
    };
    this.#backend.append({ row: { kv, deleted: true, sub: this.#sub++, createSub: 0 }, replaced });
  }

  /** A range holds if every key in it does; an empty one is one absent key, except that no value compares to it. */
  #holds(compare: EngineCompare): boolean {
    const span = new Span(compare);
    if (span.single) return holdsFor(compare, this.#backend.latest.get(compare.key));
    let any = false;
    for (const row of this.#backend.latest.range(span)) {
      any = true;
      if (!holdsFor(compare, row)) return false;
    }
    return any || holdsFor(compare, undefined);
  }
}

interface Decided {
  readonly succeeded: boolean;
  readonly ops: readonly DecidedOp[];
}
type DecidedOp =
  | Exclude<TxnRequest['success'][number], { readonly type: 'txn' }>
  | { readonly type: 'txn'; readonly decided: Decided };

function holdsFor(compare: EngineCompare, row: Row | undefined): boolean {
  // An absent key has no value to compare with: etcd fails every comparison of it, whatever the operator.
  if (!row && compare.target === 'value') return false;
  const difference = differenceOf(compare, row);
  switch (compare.result) {
    case 'equal':
      return difference === 0;
    case 'not-equal':
      return difference !== 0;
    case 'greater':
      return difference > 0;
    case 'less':
      return difference < 0;
  }
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
