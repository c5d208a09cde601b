import { type KeyValue, type Operation, type OperationResult, type Store, toText } from '../contract/index.ts';
import type { NumberKeys } from './number-keys.ts';

/** One of the keys that a number may have, and what was there when it was looked at. */
export interface Place {
  readonly key: string;
  readonly hidden: boolean;
  readonly stored: KeyValue | undefined;
}

/** A number's meaning, and under which prefix it belongs. */
export interface Meaning {
  readonly id: number;
  readonly text: string;
  readonly hidden: boolean;
}

export interface PutBack {
  /** Of those that were not in place, with what was there. */
  readonly changed: ReadonlyMap<number, readonly Place[]>;
  readonly revision: number;
}

/**
 * So many numbers go into one request: two comparisons and up to two writes each, and what a fence adds, have to stay below the 128 operations of a
 * transaction of Consul, which counts both together.
 */
const numbersAtOnce = 30;
/** Of all texts in one request; labels of an identity have some hundred bytes. */
const bytesAtOnce = 128 * 1024;

/** Numbers as they go into requests. */
export function* partsOf(numbers: Iterable<number>, textOf: (id: number) => string | undefined): Generator<number[]> {
  let part: number[] = [];
  let bytes = 0;
  for (const id of numbers) {
    const size = Buffer.byteLength(textOf(id) ?? '');
    if (part.length >= numbersAtOnce || (part.length > 0 && bytes + size > bytesAtOnce)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(id);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

/** Every key that a number may have, at one revision. */
export async function lookAt(
  store: Pick<Store, 'transact'>,
  keys: NumberKeys,
  id: number,
  signal: AbortSignal,
): Promise<readonly Place[]> {
  const places = absent(keys, id);
  const then = places.map(({ key }) => ({ type: 'get', key }) as const);
  const { results } = await store.transact({ when: [], then }, { signal });
  return found(places, results);
}

/**
 * Puts keys of numbers where they belong, and removes what says another thing where it does not, all in one transaction. Written only over what
 * was seen; of numbers that were not looked at it is thought that they have no key, as in a store that was emptied.
 * Meanwhile a number may have been taken, moved, collected or put back by somebody else: then nothing is written, and what is there
 * is told of all of them.
 */
export async function putBack(
  store: Pick<Store, 'transact'>,
  keys: NumberKeys,
  meanings: readonly Meaning[],
  seen: ReadonlyMap<number, readonly Place[]>,
  signal: AbortSignal,
): Promise<PutBack | { readonly found: ReadonlyMap<number, readonly Place[]> }> {
  const changed = new Map<number, readonly Place[]>();
  const then: Operation[] = [];
  for (const { id, text, hidden } of meanings) {
    const places = seen.get(id) ?? absent(keys, id);
    const steps = stepsTo(text, hidden, places);
    if (steps.length === 0) continue;
    then.push(...steps);
    changed.set(id, places);
  }
  if (then.length === 0) return { changed, revision: 0 };
  const all = [...changed.values()].flat();
  const { succeeded, revision, results } = await store.transact(
    {
      when: all.map(({ key, stored }) => ({
        key,
        target: 'mod',
        result: 'equal',
        value: stored?.modRevision ?? 0,
      })),
      then,
      otherwise: all.map(({ key }) => ({ type: 'get', key })),
    },
    { signal },
  );
  if (succeeded) return { changed, revision };
  const now = new Map(seen);
  let from = 0;
  for (const [id, places] of changed) {
    now.set(id, found(places, results.slice(from, from + places.length)));
    from += places.length;
  }
  return { found: now };
}

function absent(keys: NumberKeys, id: number): readonly Place[] {
  return keys.prefixes.map(([, hidden]) => ({ key: keys.of({ id, hidden }), hidden, stored: undefined }));
}

function found(places: readonly Place[], results: readonly OperationResult[]): readonly Place[] {
  return places.map((place, i) => {
    const result = results[i];
    return { ...place, stored: result?.type === 'get' ? result.entry : undefined };
  });
}

function stepsTo(text: string, hidden: boolean, places: readonly Place[]): readonly Operation[] {
  const steps: Operation[] = [];
  for (const { key, stored, hidden: isHidden } of places) {
    if (isHidden !== hidden) {
      if (stored) steps.push({ type: 'delete', key });
    } else if (!stored || toText(stored.value) !== text) steps.push({ type: 'put', key, value: text });
  }
  return steps;
}
