import { type KeyValue, type Store, toText } from '../contract/index.ts';

/** Somebody who refers to a number: a node's agent, usually. */
export interface Reference {
  readonly id: number;
  readonly text: string;
  /** Last part of the key. */
  readonly holder: string;
  /** The text is one that not every reader may see. */
  readonly hidden?: boolean;
}

/** `<prefix><text>/<holder>` → number, under the holder's lease (kvstore-schema §4.4: slave keys). */
export function referenceKey(prefix: string, text: string, holder: string): string {
  if (holder === '' || holder.includes('/'))
    throw new RangeError(`A holder is not empty and has no "/": ${JSON.stringify(holder)}`);
  return `${prefix}${text}/${holder}`;
}

/** What a key says; undefined when it is no reference. The text may contain slashes, the holder none. */
export function referenceOf(prefix: string, { key, value }: KeyValue): Reference | undefined {
  const path = toText(key).slice(prefix.length);
  const cut = path.lastIndexOf('/');
  const digits = toText(value);
  if (cut <= 0 || cut === path.length - 1 || !/^[1-9]\d{0,9}$/.test(digits)) return undefined;
  return { id: Number(digits), text: path.slice(0, cut), holder: path.slice(cut + 1) };
}

/** Everybody who refers to any number, or, with `text`, to a number of that text. */
export async function* listReferences(
  store: Pick<Store, 'list'>,
  prefix: string,
  signal: AbortSignal,
  text?: string,
): AsyncGenerator<Reference, void, void> {
  const from = text === undefined ? prefix : `${prefix}${text}/`;
  for await (const page of store.list(from, { signal }))
    for (const entry of page.entries) {
      const reference = referenceOf(prefix, entry);
      // What lies deeper belongs to a longer text that begins alike.
      if (reference && (text === undefined || reference.text === text)) yield reference;
    }
}
