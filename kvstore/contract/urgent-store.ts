import { leaseTtlOf } from './lease-ttl.ts';
import type { CallOptions } from './call-options.ts';
import type { Store } from './store.ts';

/**
 * The same store for whatever must not wait behind other requests of the process: single reads, writes, transactions and grants go
 * past the limit on requests. Listings and locks are as they were. Disposing of it does not close the store.
 */
export function urgentStore(store: Store): Store {
  const urgent = <O extends CallOptions>(options?: O): O & CallOptions => ({ ...(options as O), urgent: true });
  return {
    ...(store.limits ? { limits: store.limits } : {}),
    get: (key, options) => store.get(key, urgent(options)),
    put: (key, value, options) => store.put(key, value, urgent(options)),
    delete: (key, options) => store.delete(key, urgent(options)),
    deletePrefix: (prefix, options) => store.deletePrefix(prefix, urgent(options)),
    list: (prefix, options) => store.list(prefix, options),
    listAndWatch: (prefix, options) => store.listAndWatch(prefix, options),
    transact: (transaction, options) => store.transact(transaction, urgent(options)),
    grantLease: (options) => store.grantLease(urgent(options)),
    ...leaseTtlOf(store),
    lock: (name, options) => store.lock(name, options),
    health: () => store.health(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
