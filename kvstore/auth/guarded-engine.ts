import {
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type Engine,
  EngineError,
  EngineFacts,
  type EngineWatcher,
  type HeldRevision,
  type KeyRange,
  type LeaseInfo,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type Reader,
  type RequestOp,
  type TxnRequest,
  type TxnResponse,
  type WatchRequest,
  type WatchSink,
} from '../contract/index.ts';
import { type Steps, stepRows, turns } from '../engine/index.ts';
import type { Rights } from './rights.ts';

/** etcd's refusal, in its words: clients match on them. */
export function permissionDenied(): EngineError {
  return new EngineError(7, 'etcdserver: permission denied');
}

/**
 * An engine as one user sees it: what the user's rights do not cover is refused before the engine hears of it. The rules
 * are etcd's (`server/etcdserver/apply/apply_auth.go`), and stricter where etcd lets things through: nested
 * transactions, `prev_kv` and leases of puts in transactions, keep-alives and lists of leases.
 */
export class GuardedEngine extends EngineFacts implements Engine {
  readonly #rights: () => Rights;

  /** @param rights what the user may do now; asked for each call, since it may change while a client is connected */
  constructor(engine: Engine, rights: () => Rights) {
    super(engine);
    this.#rights = rights;
  }

  async range(request: RangeRequest, reader?: Reader): Promise<RangeResponse> {
    demand(await this.#rights().mayRead(request));
    return await this.engine.range(request, reader);
  }

  async put(request: PutRequest): Promise<PutResponse> {
    await this.#checkPut(request);
    return await this.engine.put(request);
  }

  async deleteRange(request: DeleteRangeRequest, reader?: Reader): Promise<DeleteRangeResponse> {
    await this.#checkDelete(request);
    return await this.engine.deleteRange(request, reader);
  }

  async txn(request: TxnRequest, reader?: Reader): Promise<TxnResponse> {
    await this.#checkTxn(request);
    return await this.engine.txn(request, reader);
  }

  async compact(revision: number): Promise<{ readonly revision: number }> {
    demand(this.#rights().root);
    return await this.engine.compact(revision);
  }

  hold(revision?: number): HeldRevision {
    demand(this.#rights().root);
    return this.engine.hold(revision);
  }

  watch(request: WatchRequest, sink: WatchSink): EngineWatcher {
    demand(this.#rights().mayReadRange(request));
    return this.engine.watch(request, sink);
  }

  async leaseGrant(request: {
    readonly id: bigint;
    readonly ttl: number;
  }): Promise<{ readonly id: bigint; readonly ttl: number; readonly revision: number }> {
    demand(this.#rights().writes);
    return await this.engine.leaseGrant(request);
  }

  async leaseRevoke(id: bigint): Promise<{ readonly revision: number }> {
    await this.#checkLease(id);
    return await this.engine.leaseRevoke(id);
  }

  async leaseKeepAlive(id: bigint): Promise<{ readonly id: bigint; readonly ttl: number; readonly revision: number }> {
    await this.#checkLease(id);
    return await this.engine.leaseKeepAlive(id);
  }

  async leaseTimeToLive(id: bigint, keys: boolean, reader?: Reader): Promise<LeaseInfo> {
    const info = await this.engine.leaseTimeToLive(id, keys, reader);
    const rights = this.#rights();
    if (rights.root) return info;
    for (const key of await others(info.keys, (range) => rights.mayReadRange(range), reader))
      demand(await rights.mayRead({ key }));
    return info;
  }

  async leases(): Promise<readonly bigint[]> {
    demand(this.#rights().root);
    return await this.engine.leases();
  }

  /** Not for users: who asks for the keys of a lease does so by its time to live. */
  async leaseKeys(id: bigint, reader?: Reader): Promise<readonly Uint8Array[]> {
    demand(this.#rights().root);
    return await this.engine.leaseKeys(id, reader);
  }

  async #checkPut({ key, prevKv = false, lease = 0n }: PutRequest, checked = new Set<bigint>()): Promise<void> {
    const rights = this.#rights();
    demand(await rights.mayWrite({ key }));
    if (prevKv) demand(await rights.mayRead({ key }));
    if (lease === 0n || checked.has(lease)) return;
    await this.#checkLease(lease);
    checked.add(lease);
  }

  async #checkDelete(request: DeleteRangeRequest): Promise<void> {
    const rights = this.#rights();
    demand(await rights.mayWrite(request));
    if (request.prevKv) demand(await rights.mayRead(request));
  }

  /** @param checked leases that were looked at already, since many puts of a transaction share one */
  async #checkTxn({ compare, success, failure }: TxnRequest, checked = new Set<bigint>()): Promise<void> {
    for (const one of compare) demand(await this.#rights().mayRead(one));
    for (const op of success) await this.#checkOp(op, checked);
    for (const op of failure) await this.#checkOp(op, checked);
  }

  async #checkOp(op: RequestOp, checked: Set<bigint>): Promise<void> {
    switch (op.type) {
      case 'range':
        return demand(await this.#rights().mayRead(op.request));
      case 'put':
        return await this.#checkPut(op.request, checked);
      case 'delete':
        return await this.#checkDelete(op.request);
      case 'txn':
        return await this.#checkTxn(op.request, checked);
    }
  }

  /** With a lease go all its keys: who cannot write each of them may neither end it, keep it, nor add to it. */
  async #checkLease(id: bigint): Promise<void> {
    const rights = this.#rights();
    if (rights.root) return;
    demand(rights.writes);
    const keys = await this.engine.leaseKeys(id);
    for (const key of await others(keys, (range) => rights.mayWriteRange(range)))
      demand(await rights.mayWrite({ key }));
  }
}

/** Keys that lie in no range that is allowed; a lease may have a hundred thousand. */
async function others(
  keys: readonly Uint8Array[],
  allowed: (range: KeyRange) => boolean,
  reader?: Reader,
): Promise<readonly Uint8Array[]> {
  const outside = (some: readonly Uint8Array[]): Uint8Array[] => some.filter((key) => !allowed({ key }));
  if (keys.length <= stepRows) return outside(keys);
  function* inSteps(): Steps<Uint8Array[]> {
    const found: Uint8Array[] = [];
    for (let start = 0; start < keys.length; start += stepRows) {
      found.push(...outside(keys.slice(start, start + stepRows)));
      yield stepRows;
    }
    return found;
  }
  return await turns.take(inSteps(), { owner: reader?.owner });
}

function demand(allowed: boolean): void {
  if (!allowed) throw permissionDenied();
}
