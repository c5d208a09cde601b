import {
  type Bytes,
  type CallOptions,
  type Compare,
  FencedError,
  InvalidRequestError,
  type Operation,
  type PutOptions,
  type Store,
  type Transaction,
  type TransactionResult,
  type WriteResult,
  leaseTtlOf,
} from '../contract/index.ts';

/** A key and the revision that it has for as long as its writer leads, see {@link claimTerm}. */
export interface Fence {
  readonly key: string;
  readonly revision: number;
}

/**
 * The same store, in which every write takes effect only while the fence stands, checked by the store in the transaction itself: one that
 * comes late, of a process that stood still while another took over, changes nothing. Reads, watches and leases are as they were.
 * Disposing of it does not close the store.
 * @param broken called when a write found that somebody else has taken over
 */
export function fencedStore(store: Store, fence: Fence, broken: (error: FencedError) => void): Store {
  const writer = new FencedWriter(store, fence, broken);
  return {
    ...(store.limits ? { limits: store.limits } : {}),
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => writer.put(key, value, options),
    delete: (key, options) => writer.delete(key, options),
    deletePrefix: () => Promise.reject(new InvalidRequestError('A fenced store deletes key by key')),
    list: (prefix, options) => store.list(prefix, options),
    listAndWatch: (prefix, options) => store.listAndWatch(prefix, options),
    transact: (transaction, options) => writer.transact(transaction, options),
    grantLease: (options) => store.grantLease(options),
    ...leaseTtlOf(store),
    lock: (name, options) => store.lock(name, options),
    health: () => store.health(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

class FencedWriter {
  readonly #store: Pick<Store, 'transact'>;
  readonly #fence: Fence;
  readonly #stands: Compare;
  readonly #broken: (error: FencedError) => void;

  constructor(store: Pick<Store, 'transact'>, fence: Fence, broken: (error: FencedError) => void) {
    this.#store = store;
    this.#fence = fence;
    this.#stands = { key: fence.key, target: 'mod', result: 'equal', value: fence.revision };
    this.#broken = broken;
  }

  async put(key: Bytes, value: Bytes, { lease, ...options }: PutOptions = {}): Promise<WriteResult> {
    const operation: Operation = { type: 'put', key, value, ...(lease === undefined ? {} : { lease }) };
    const { revision } = await this.transact({ when: [], then: [operation] }, options);
    return { revision };
  }

  async delete(key: Bytes, options?: CallOptions): Promise<WriteResult & { readonly deleted: boolean }> {
    const { revision, results } = await this.transact({ when: [], then: [{ type: 'delete', key }] }, options);
    const [result] = results;
    return { revision, deleted: result?.type === 'delete' && result.deleted > 0 };
  }

  async transact(transaction: Transaction, options?: CallOptions): Promise<TransactionResult> {
    const { when, then, otherwise = [] } = transaction;
    if (otherwise.some(isWrite))
      throw new InvalidRequestError('A fenced store writes only where the conditions of a transaction hold');
    if (!then.some(isWrite)) return await this.#store.transact(transaction, options);
    const { key } = this.#fence;
    const result = await this.#store.transact(
      { when: [this.#stands, ...when], then, otherwise: [...otherwise, { type: 'get', key }] },
      options,
    );
    if (result.succeeded) return result;
    const seen = result.results.at(-1);
    if (seen?.type === 'get' && seen.entry?.modRevision === this.#fence.revision)
      return { ...result, results: result.results.slice(0, -1) };
    const error = new FencedError(`Somebody else leads: ${key} is not as this process wrote it`);
    this.#broken(error);
    throw error;
  }
}

function isWrite({ type }: Operation): boolean {
  return type !== 'get';
}
