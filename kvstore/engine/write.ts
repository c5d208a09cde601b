import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  KeyValue,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  Reader,
  ResponseOp,
  TxnRequest,
  TxnResponse,
} from '../contract/index.ts';
import type { Backend } from './backend.ts';
import { type Decided, decide } from './decide.ts';
import { engineErrors } from './engine-errors.ts';
import { rangeSteps } from './read.ts';
import { checkRevision } from './read-txn.ts';
import type { Row } from './row.ts';
import { Span } from './span.ts';
import { atOnce } from './steps.ts';
import { Walked, readBefore, tookBefore } from './walked.ts';

const nothing = new Uint8Array(0);

/**
 * One write transaction of etcd's: everything it writes becomes one revision, the one after the last. What it reads
 * includes what it wrote. Checks come before the first write; after them nothing can fail.
 */
export class WriteTransaction {
  readonly #backend: Backend;
  readonly #hasLease: (id: bigint) => boolean;
  readonly #reader: Pick<Reader, 'took'> | undefined;
  readonly #revision: number;
  #sub = 0;

  /** @param reader told, before the first write, of what the answer shows that was there before */
  constructor(backend: Backend, hasLease: (id: bigint) => boolean, reader?: Pick<Reader, 'took'>) {
    this.#backend = backend;
    this.#hasLease = hasLease;
    this.#reader = reader;
    this.#revision = backend.latest.revision + 1;
  }

  put(request: PutRequest): PutResponse {
    // Alone, a put misses its lease before its key; inside a transaction etcd looks the other way round.
    if (request.lease && !this.#hasLease(request.lease)) throw engineErrors.leaseNotFound();
    this.#checkPut(request);
    return this.#put(request);
  }

  deleteRange(request: DeleteRangeRequest): DeleteRangeResponse {
    if (this.#reader && request.prevKv) tookBefore(this.#backend.latest, request, this.#reader);
    return this.#deleteRange(request);
  }

  #deleteRange(request: DeleteRangeRequest): DeleteRangeResponse {
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
    const { latest } = this.#backend;
    const walked = new Walked();
    const path = walked.run(decide(latest, request));
    this.#checkBranch(path);
    return this.#run(path, readBefore(latest, path, walked, this.#reader).values());
  }

  #checkBranch(decided: Decided): void {
    for (const op of decided.ops) {
      if (op.type === 'txn') this.#checkBranch(op.decided);
      else if (op.type === 'put') this.#checkPut(op.request);
      else if (op.type === 'range') checkRevision(this.#backend.latest, op.request.revision);
    }
  }

  /** @param read answers of ranges, in their order, that are known already */
  #run(decided: Decided, read: Iterator<RangeResponse | undefined>): TxnResponse {
    const responses = decided.ops.map((op): ResponseOp => {
      switch (op.type) {
        case 'put':
          return { type: 'put', response: this.#put(op.request) };
        case 'delete':
          return { type: 'delete', response: this.#deleteRange(op.request) };
        case 'range':
          return { type: 'range', response: this.#range(op.request, read.next().value) };
        case 'txn':
          return { type: 'txn', response: this.#run(op.decided, read) };
      }
    });
    return { revision: this.#backend.latest.revision, succeeded: decided.succeeded, responses };
  }

  #range(request: RangeRequest, before: RangeResponse | undefined): RangeResponse {
    const { latest } = this.#backend;
    // The revision is the one that the transaction has come to when it is this operation's turn.
    return before ? { ...before, revision: latest.revision } : atOnce(rangeSteps(latest, request));
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
    if (!span.single) return [...this.#backend.latest.range(span)].filter((row) => row !== undefined);
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
}
