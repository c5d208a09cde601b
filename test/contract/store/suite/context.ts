import { expect } from '@jest/globals';
import { type KeyValue, KvStoreError, type Store } from '../../../../kvstore/index.ts';
import {
  type Breakable,
  type Disturb,
  type Guarded,
  type OpenStore,
  type OpenedStore,
  type StorePromises,
  allPromises,
} from './ports.ts';

/** What the tests of one implementation share. */
export class StoreContext {
  readonly promises: StorePromises;
  #opened: OpenedStore | undefined;
  #store: Store | undefined;
  #wrap: (store: Store) => Store = (store) => store;
  #prefixes = 0;
  #guarded: Guarded | undefined;

  constructor(promises: StorePromises = allPromises) {
    this.promises = promises;
  }

  get opened(): OpenedStore {
    if (!this.#opened) throw new Error('No store is open');
    return this.#opened;
  }

  get store(): Store {
    if (!this.#store) throw new Error('No store is open');
    return this.#wrap(this.#store);
  }

  async open(open: OpenStore): Promise<void> {
    this.#opened = await open();
    this.#store = this.#opened.store;
  }

  async close(): Promise<void> {
    await this.#guarded?.[Symbol.asyncDispose]();
    await this.#opened?.dispose();
  }

  /** A second client of the same data; the caller closes it. */
  async another(): Promise<Store> {
    return this.#wrap(await this.opened.another());
  }

  /** A store as the suite shall see it. @see wrapped */
  wrap(store: Store): Store {
    return this.#wrap(store);
  }

  async restart(): Promise<void> {
    this.#store = await this.disturbance('restart')();
    await this.settled();
  }

  /** A client may notice only now that its connection has gone; a read finds the way again by itself. */
  async settled(): Promise<void> {
    for (;;) {
      try {
        await this.store.get('no such key');
        return;
      } catch (error) {
        if (!(error instanceof KvStoreError) || error.retry !== 'again') throw error;
      }
    }
  }

  disturbance<Name extends keyof Disturb>(name: Name): NonNullable<Disturb[Name]> {
    const found = this.opened.disturb?.[name];
    if (!found) throw new Error(`This harness says that it can do ${name}, and gives nothing to do it`);
    return found;
  }

  /** Everything that is asked of the store passes through `wrap` meanwhile: for defects that the suite must find. */
  async wrapped<T>(wrap: (store: Store) => Store, run: () => Promise<T>): Promise<T> {
    this.#wrap = wrap;
    try {
      return await run();
    } finally {
      this.#wrap = (store) => store;
    }
  }

  /** One more client, as the suite shall see it, whose connections can be broken. */
  async breakable(): Promise<Breakable> {
    const line = await this.disturbance('breakable')();
    return {
      store: this.#wrap(line.store),
      cut: () => line.cut(),
      cutAtByte: (count) => line.cutAtByte(count),
      cutOff: () => line.cutOff(),
      hang: () => line.hang(),
      mend: () => line.mend(),
      [Symbol.asyncDispose]: async () => line[Symbol.asyncDispose](),
    };
  }

  /** The store with rights that all may use who leave the rights as they are. */
  async guarded(): Promise<Guarded> {
    return (this.#guarded ??= await this.disturbance('guarded')());
  }

  /** A prefix that no other test uses. */
  prefix(): string {
    return `test-${++this.#prefixes}/`;
  }

  /** What to expect of the revision of a write right after `revision`. */
  next(revision: number): number {
    // An asymmetric matcher stands where a number is expected.
    return this.promises.denseRevisions ? revision + 1 : (expect.any(Number) as unknown as number);
  }

  /** The store's revision now. */
  async revision(): Promise<number> {
    for await (const page of this.store.list('no such key', { pageSize: 1 })) return page.revision;
    throw new Error('A listing has at least one page');
  }

  /** Everything under a prefix. */
  async entries(prefix: string | Uint8Array, store: Store = this.store): Promise<KeyValue[]> {
    const found: KeyValue[] = [];
    for await (const page of store.list(prefix)) found.push(...page.entries);
    return found;
  }

  /** Keys and values under a prefix, as text. */
  async contents(prefix: string | Uint8Array, store: Store = this.store): Promise<Map<string, string>> {
    const entries = await this.entries(prefix, store);
    return new Map(entries.map(({ key, value }) => [text(key) ?? '', text(value) ?? '']));
  }

  /** Keys of four digits with their number as value, written in transactions. */
  async fill(prefix: string, count: number, store: Store = this.store): Promise<void> {
    for (let from = 0; from < count; from += 100) {
      const numbers = Array.from({ length: Math.min(100, count - from) }, (_, i) => from + i);
      await store.transact({
        when: [],
        then: numbers.map((i) => ({ type: 'put', key: `${prefix}${digits(i)}`, value: `${i}` })),
      });
    }
  }
}

export const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('latin1');

/** A number as {@link StoreContext.fill} names its keys. */
export function digits(i: number): string {
  return `${i}`.padStart(4, '0');
}

/** Writes until the store takes it: a write of unknown fate is simply written again. */
export async function insist(store: Store, key: string, value: string): Promise<number> {
  for (;;) {
    try {
      return (await store.put(key, value)).revision;
    } catch (error) {
      if (!(error instanceof KvStoreError) || error.retry !== 'again') throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
