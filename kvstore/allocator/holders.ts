import { type Logger, fields } from '../../runtime/log/index.ts';
import { type KeyValue, type Store, toText } from '../contract/index.ts';
import type { Reference } from './references.ts';

/** What one holder says. */
export interface Said {
  readonly references: readonly Omit<Reference, 'holder'>[];
  /** Numbers that it remembers and the store may not know any more, each with the digest of its text (see `textDigest`). */
  readonly remembered?: readonly (readonly [id: number, digest: number])[];
}

export interface HoldersOptions {
  /** With its trailing slash; what follows is the holder's name. */
  readonly prefix: string;
  /** All that one holder says, in one value. @throws for what makes no sense */
  readonly read: (holder: string, entry: KeyValue) => Said;
}

/**
 * Who refers to which numbers, where each holder says so in one key of its own: what is said is whole, so that it also says
 * that there is nothing else.
 */
export class Holders {
  readonly #options: HoldersOptions;
  readonly #store: Pick<Store, 'list' | 'listAndWatch'>;
  readonly #log: Logger;
  readonly #said = new Map<string, Said & { readonly references: readonly Reference[] }>();

  constructor(options: HoldersOptions, store: Pick<Store, 'list' | 'listAndWatch'>, log: Logger) {
    this.#options = options;
    this.#store = store;
    this.#log = log;
  }

  /** Those who have spoken. */
  get names(): ReadonlySet<string> {
    return new Set(this.#said.keys());
  }

  *references(): Iterable<Reference> {
    for (const { references } of this.#said.values()) yield* references;
  }

  /** What one of them remembers, or, unless told which, all. */
  *remembered(holder?: string): Iterable<readonly [id: number, digest: number]> {
    const said = holder === undefined ? this.#said.values() : [this.#said.get(holder)];
    for (const one of said) yield* one?.remembered ?? [];
  }

  refersTo({ id, text }: Pick<Reference, 'id' | 'text'>): boolean {
    for (const reference of this.references()) if (reference.id === id && reference.text === text) return true;
    return false;
  }

  async load(signal: AbortSignal): Promise<void> {
    for await (const page of this.#store.list(this.#options.prefix, { signal }))
      for (const entry of page.entries) this.#take(entry);
  }

  /** Calls `changed` after whatever was said anew. A holder that is silent after a complete listing refers to nothing. */
  async follow(changed: (holder?: string) => Promise<void>, signal: AbortSignal): Promise<void> {
    const seen = new Set<string>();
    for await (const batch of this.#store.listAndWatch(this.#options.prefix, { signal })) {
      if (batch.type === 'restart') seen.clear();
      else if (batch.type === 'synced') {
        for (const holder of this.#said.keys()) if (!seen.has(holder)) this.#said.delete(holder);
        await changed();
      } else
        for (const event of batch.events) {
          const holder = this.#holderOf(event.type === 'put' ? event.entry.key : event.key);
          seen.add(holder);
          if (event.type === 'put') this.#take(event.entry);
          else this.#said.delete(holder);
          await changed(holder);
        }
    }
  }

  #holderOf(key: Uint8Array): string {
    return toText(key).slice(this.#options.prefix.length);
  }

  #take(entry: KeyValue): void {
    const holder = this.#holderOf(entry.key);
    try {
      const said = this.#options.read(holder, entry);
      this.#said.set(holder, { ...said, references: said.references.map((each) => ({ ...each, holder })) });
    } catch (error) {
      // What it said before stands: numbers are rather kept too long.
      this.#log.warn('What a node says of its identities is refused', {
        [fields.key]: toText(entry.key),
        [fields.error]: error,
      });
    }
  }
}
