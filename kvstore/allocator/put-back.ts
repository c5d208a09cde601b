import { type KeyValue, type Operation, type Store, toText } from '../contract/index.ts';
import type { NumberKeys } from './number-keys.ts';

/** One of the keys that a number may have, and what was there when it was looked at. */
export interface Place {
  readonly key: string;
  readonly hidden: boolean;
  readonly stored: KeyValue | undefined;
}

/** Every key that a number may have, at one revision. */
export async function lookAt(
  store: Pick<Store, 'transact'>,
  keys: NumberKeys,
  id: number,
  signal: AbortSignal,
): Promise<readonly Place[]> {
  const places = keys.prefixes.map(([, hidden]) => ({ key: keys.of({ id, hidden }), hidden }));
  const then = places.map(({ key }) => ({ type: 'get', key }) as const);
  const { results } = await store.transact({ when: [], then }, { signal });
  return places.map((place, i) => {
    const result = results[i];
    return { ...place, stored: result?.type === 'get' ? result.entry : undefined };
  });
}

/**
 * Puts a number's key where it belongs, and removes what says another thing where it does not. Written only over what was seen:
 * meanwhile the number may have been taken, moved, collected or put back by somebody else, and then it has `changed`.
 */
export async function putBack(
  store: Pick<Store, 'transact'>,
  { text, hidden }: { readonly text: string; readonly hidden: boolean },
  seen: readonly Place[],
  signal: AbortSignal,
): Promise<'in place' | 'changed' | { readonly revision: number }> {
  const then: Operation[] = [];
  for (const { key, stored, hidden: isHidden } of seen) {
    if (isHidden !== hidden) {
      if (stored) then.push({ type: 'delete', key });
    } else if (!stored || toText(stored.value) !== text) then.push({ type: 'put', key, value: text });
  }
  if (then.length === 0) return 'in place';
  const { succeeded, revision } = await store.transact(
    {
      when: seen.map(({ key, stored }) => ({
        key,
        target: 'mod',
        result: 'equal',
        value: stored?.modRevision ?? 0,
      })),
      then,
    },
    { signal },
  );
  return succeeded ? { revision } : 'changed';
}
