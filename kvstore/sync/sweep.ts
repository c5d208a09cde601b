import type { Bytes, KeyValue, Store } from '../contract/index.ts';
import { toText } from '../contract/index.ts';

/** Consul takes 128 operations at once, and two for a key that is deleted as it was seen; a fence fits in. */
const batchSize = 60;

/**
 * Deletes the keys under `prefix` that `isLeftover` names, each only in the state in which it was seen. Gives their number.
 */
export async function sweepLeftovers(
  store: Pick<Store, 'list' | 'transact'>,
  prefix: Bytes,
  isLeftover: (key: string, entry: KeyValue) => boolean,
  signal?: AbortSignal,
): Promise<number> {
  const options = signal ? { signal } : {};
  const found: { readonly key: Uint8Array; readonly text: string; readonly revision: number }[] = [];
  for await (const page of store.list(prefix, options)) {
    for (const entry of page.entries) {
      const text = toText(entry.key);
      if (isLeftover(text, entry)) found.push({ key: new Uint8Array(entry.key), text, revision: entry.modRevision });
    }
  }
  let deleted = 0;
  const remove = async (batch: typeof found): Promise<void> => {
    const result = await store.transact(
      {
        when: batch.map(({ key, revision }) => ({ key, target: 'mod', result: 'equal', value: revision })),
        then: batch.map(({ key }) => ({ type: 'delete', key })),
      },
      options,
    );
    if (result.succeeded) deleted += batch.length;
    // One of them has changed: the others go one by one.
    else if (batch.length > 1) for (const one of batch) await remove([one]);
  };
  for (let i = 0; i < found.length; i += batchSize) await remove(found.slice(i, i + batchSize));
  return deleted;
}
