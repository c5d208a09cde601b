import type { Bytes, Store, WatchBatch, WatchOptions } from '../../../../kvstore/index.ts';
import { text } from './context.ts';
import { eventually } from './waiting.ts';

/** What a follower needs of a store. */
export type Watchable = Pick<Store, 'listAndWatch'>;

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
  /** Keys that a consumer which follows the rules of `WatchBatch` has removed so far, by a deletion or by a listing. */
  readonly removed: string[] = [];
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  #known = new Map<string, string>();
  #listed: Map<string, string> | undefined;
  #gate: Promise<void> = Promise.resolve();
  #open: () => void = () => undefined;
  error: unknown;

  constructor(store: Watchable, prefix: Bytes, options: Omit<WatchOptions, 'signal'> = {}) {
    this.#done = this.#follow(store, prefix, options).catch((error: unknown) => {
      this.error = error;
    });
  }

  get synced(): boolean {
    return this.batches.some((batch) => batch.type === 'synced');
  }

  /** Restarts and synced, in their order. */
  get marks(): string[] {
    return this.batches.flatMap((batch) => {
      if (batch.type === 'changes') return [];
      return batch.type === 'synced' ? 'synced' : batch.reason;
    });
  }

  /** Changes after the first `synced`. */
  get live(): SeenEvent[] {
    const from = this.batches.findIndex((batch) => batch.type === 'synced');
    return from < 0 ? [] : this.batches.slice(from).flatMap((batch) => (batch.type === 'changes' ? batch.events : []));
  }

  /** What a consumer that follows the rules of `WatchBatch` holds after all batches. */
  get state(): ReadonlyMap<string, string> {
    return this.#known;
  }

  /** The highest revision that it has heard of. */
  get revision(): number {
    return Math.max(0, ...this.batches.map((batch) => (batch.type === 'restart' ? 0 : batch.revision)));
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

  /** Waits until it holds exactly this. */
  async holds(contents: ReadonlyMap<string, string>): Promise<void> {
    await eventually(() => {
      if (this.error !== undefined) throw this.error;
      return (
        this.#known.size === contents.size && [...contents].every(([key, value]) => this.#known.get(key) === value)
      );
    });
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

  async #follow(store: Watchable, prefix: Bytes, options: Omit<WatchOptions, 'signal'>): Promise<void> {
    for await (const batch of store.listAndWatch(prefix, { ...options, signal: this.#stopping.signal })) {
      const kept = seen(batch);
      this.batches.push(kept);
      this.#apply(kept);
      await this.#gate;
    }
  }

  #apply(batch: SeenBatch): void {
    if (batch.type === 'restart') this.#listed = new Map();
    else if (batch.type === 'synced') {
      const listed = this.#listed ?? this.#known;
      this.removed.push(...[...this.#known.keys()].filter((key) => !listed.has(key)));
      this.#known = listed;
      this.#listed = undefined;
    } else
      for (const event of batch.events) {
        if (event.type === 'delete' && this.#known.has(event.key)) this.removed.push(event.key);
        for (const map of this.#listed ? [this.#known, this.#listed] : [this.#known])
          if (event.type === 'put') map.set(event.key, event.value ?? '');
          else map.delete(event.key);
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
