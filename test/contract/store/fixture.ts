import { expect } from '@jest/globals';
import type { Store, WatchBatch } from '../../../kvstore/index.ts';

/** An implementation under test, opened empty. */
export interface OpenedStore {
  readonly store: Store;
  /** A second client of the same data; the one store serves for both unless given. */
  readonly another?: () => Promise<Store>;
  /** Ends the process (or engine) behind the store at once and starts it on the same data; gives the store to go on with. */
  readonly restart?: () => Promise<Store>;
  /** True if a store goes on by itself across `restart`: then its watches must resume exactly. */
  readonly survivesRestart?: boolean;
  readonly compact: (revision: number) => Promise<unknown>;
  /** Ends a lease behind the back of its owner. */
  readonly revokeLease: (id: bigint) => Promise<unknown>;
  readonly dispose: () => Promise<void>;
}

/** What a store may be unable to promise. Where it is, the suite tests what it does instead. */
export interface StorePromises {
  /** Older revisions can be read until they are compacted. */
  readonly history: boolean;
  /** Each write makes the next revision, and nothing else makes one. */
  readonly denseRevisions: boolean;
  /** Every change comes as an event; otherwise the last of each key does. */
  readonly everyEvent: boolean;
  /** Puts of a key are counted; otherwise version 2 stands for any number of puts after the first. */
  readonly countsVersions: boolean;
  /** Keys are bytes; otherwise they are printable UTF-8 without empty path elements. */
  readonly keysOfAnyBytes: boolean;
  /** A prefix is deleted in one revision, however many keys it has. */
  readonly prefixDeletedAtOnce: boolean;
  /** Largest value. */
  readonly maxValueBytes: number;
}

/** What the contract asks for. */
export const allPromises: StorePromises = {
  history: true,
  denseRevisions: true,
  everyEvent: true,
  countsVersions: true,
  keysOfAnyBytes: true,
  prefixDeletedAtOnce: true,
  maxValueBytes: 1024 * 1024,
};

export type OpenStore = () => Promise<OpenedStore>;

/** What the tests of one implementation share. */
export class StoreContext {
  readonly promises: StorePromises;
  #opened: OpenedStore | undefined;
  #store: Store | undefined;
  #prefixes = 0;

  constructor(promises: StorePromises = allPromises) {
    this.promises = promises;
  }

  get opened(): OpenedStore {
    if (!this.#opened) throw new Error('No store is open');
    return this.#opened;
  }

  get store(): Store {
    if (!this.#store) throw new Error('No store is open');
    return this.#store;
  }

  async open(open: OpenStore): Promise<void> {
    this.#opened = await open();
    this.#store = this.#opened.store;
  }

  async close(): Promise<void> {
    await this.#opened?.dispose();
  }

  async restart(): Promise<void> {
    if (!this.#opened?.restart) throw new Error('This store cannot be restarted');
    this.#store = await this.#opened.restart();
    // A client may notice only now that its connection has gone; a read finds the way again by itself.
    await this.#store.get('no such key');
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
}

/** In the place of `test` for what a store does not promise; the same file says what it does instead. */
export function omitted(_title: string, _body: () => Promise<void>): void {
  // Nothing to run.
}

export const text = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('latin1');

/** Waits until `check` holds, looking again every few milliseconds; generous, since it only bounds a failure. */
export async function eventually(check: () => boolean | Promise<boolean>, timeoutMs = 20_000): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`Not so after ${timeoutMs} ms: ${check.toString()}`);
    await pause(10);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

export interface SeenEvent {
  readonly type: 'put' | 'delete';
  readonly key: string;
  readonly value?: string;
  readonly revision: number;
  readonly lease?: bigint;
}

export type SeenBatch =
  | { readonly type: 'restart'; readonly reason: string }
  | { readonly type: 'changes'; readonly events: readonly SeenEvent[]; readonly revision: number }
  | { readonly type: 'synced'; readonly revision: number };

/** Follows a prefix in the background and keeps what it saw as text, since buffers are only lent. */
export class Follower implements AsyncDisposable {
  readonly batches: SeenBatch[] = [];
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;
  error: unknown;

  constructor(store: Store, prefix: string | Uint8Array, options: { readonly pageSize?: number } = {}) {
    this.#done = this.#follow(store, prefix, options).catch((error: unknown) => {
      this.error = error;
    });
  }

  get synced(): boolean {
    return this.batches.some((batch) => batch.type === 'synced');
  }

  /** Changes after the first `synced`. */
  get live(): SeenEvent[] {
    const from = this.batches.findIndex((batch) => batch.type === 'synced');
    return from < 0 ? [] : this.batches.slice(from).flatMap((batch) => (batch.type === 'changes' ? batch.events : []));
  }

  /** What a consumer that follows the rules of `WatchBatch` holds after all batches. */
  get state(): Map<string, string> {
    let known = new Map<string, string>();
    let listed: Map<string, string> | undefined;
    for (const batch of this.batches) {
      if (batch.type === 'restart') listed = new Map();
      else if (batch.type === 'synced') {
        known = listed ?? known;
        listed = undefined;
      } else
        for (const event of batch.events)
          for (const map of listed ? [known, listed] : [known]) {
            if (event.type === 'put') map.set(event.key, event.value ?? '');
            else map.delete(event.key);
          }
    }
    return known;
  }

  /** Stops asking for batches until the answer is called. */
  hold(): () => void {
    this.#gate = new Promise((resolve) => (this.#open = resolve));
    return () => this.#open();
  }

  async whenSynced(): Promise<this> {
    await eventually(() => this.synced || this.error !== undefined);
    if (this.error !== undefined) throw this.error;
    return this;
  }

  /** Settles when the iteration has ended. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#open();
    await this.#done;
  }

  ended(): Promise<void> {
    return this.#done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #follow(store: Store, prefix: string | Uint8Array, options: { readonly pageSize?: number }): Promise<void> {
    for await (const batch of store.listAndWatch(prefix, { ...options, signal: this.#stopping.signal })) {
      this.batches.push(seen(batch));
      await this.#gate;
    }
  }
}

function seen(batch: WatchBatch): SeenBatch {
  if (batch.type !== 'changes') return { ...batch };
  const events = batch.events.map((event): SeenEvent => {
    if (event.type === 'delete') return { type: 'delete', key: text(event.key) ?? '', revision: event.revision };
    const { key, value, modRevision, lease } = event.entry;
    return { type: 'put', key: text(key) ?? '', value: text(value) ?? '', revision: modRevision, lease };
  });
  return { type: 'changes', events, revision: batch.revision };
}
