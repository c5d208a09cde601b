import type { Store } from './store.ts';

/** The member by which a store tells of leases, for a store around it: absent where it is absent there. */
export function leaseTtlOf(store: Store): Pick<Store, 'leaseTtl'> {
  return store.leaseTtl ? { leaseTtl: async (id, options) => await store.leaseTtl?.(id, options) } : {};
}
