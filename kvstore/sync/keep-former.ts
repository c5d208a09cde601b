import type { Store } from '../contract/index.ts';
import type { LeasePool } from './lease-pool.ts';
import type { OwnKey } from './own-keys.ts';

/**
 * What the store holds of a key whose new value it refuses stays in force: where an earlier life wrote it, it goes on under our lease.
 */
export async function keepFormer(
  own: OwnKey,
  { store, pool }: { readonly store: Pick<Store, 'transact'>; readonly pool: LeasePool },
  signal: AbortSignal,
): Promise<void> {
  const { key, slot } = own;
  if (!slot || slot.lost) return;
  const { results } = await store.transact({ when: [], then: [{ type: 'get', key }] }, { signal });
  const [found] = results;
  const entry = found?.type === 'get' ? found.entry : undefined;
  if (!entry || pool.renews(entry.lease)) return;
  const value = new Uint8Array(entry.value);
  const { succeeded, revision } = await store.transact(
    {
      when: [{ key, target: 'mod', result: 'equal', value: entry.modRevision }],
      then: [{ type: 'put', key, value, lease: slot.lease.id }],
    },
    { signal },
  );
  if (succeeded) own.stored = { value, revision };
}
