import { type Store, type WatchBatch, WatchStore, toText } from '../../../../kvstore/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

let patienceMs = 40_000;

/** For the length of `run`, whoever waits gives up after so long: where something is to fail, it fails the sooner. */
export async function withPatience<T>(ms: number, run: () => Promise<T>): Promise<T> {
  const before = patienceMs;
  patienceMs = ms;
  try {
    return await run();
  } finally {
    patienceMs = before;
  }
}

/** Waits until something is so. */
export async function eventually(check: () => boolean, timeoutMs = patienceMs, what = check): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (!check()) {
    if (performance.now() > deadline) throw new Error(`Not so after ${timeoutMs} ms: ${what.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/**
 * Follows a prefix through a {@link WatchStore} and keeps book of all that must never happen: an event twice, a revision
 * that goes back, a key removed that nobody deleted.
 */
export class Mirror implements AsyncDisposable {
  /** Key → value and revision, as told. */
  readonly state = new Map<string, string>();
  /** `restart` reasons and `synced`, in their order. */
  readonly marks: string[] = [];
  /** Every change that came after a listing. */
  readonly live: string[] = [];
  readonly problems: string[] = [];
  readonly watch: WatchStore;
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  readonly #lastOf = new Map<string, number>();
  readonly #order: 'store' | 'key';
  #lastRevision = 0;
  #synced = false;
  #gate: Promise<void> | undefined;
  error: unknown;

  /** @param options `order`: whether revisions must not go back over all keys, or of each key only */
  constructor(
    store: Pick<Store, 'listAndWatch'>,
    prefix: string,
    options: { readonly pageSize?: number; readonly order?: 'store' | 'key' } = {},
  ) {
    this.#order = options.order ?? 'store';
    const audited = {
      listAndWatch: (bytes: string | Uint8Array, { signal }: { readonly signal: AbortSignal }) =>
        this.#audit(store.listAndWatch(bytes, { signal, ...options })),
    };
    this.watch = new WatchStore({
      store: audited,
      prefix,
      log: silentLogger,
      observer: {
        upsert: (key, value, { revision }) => void this.state.set(key, `${toText(value)}@${revision}`),
        remove: (key) => {
          this.state.delete(key);
          if (key.startsWith('stable/')) this.problems.push(`${key} was removed although nobody deleted it`);
        },
      },
    });
    this.#done = this.watch.run(this.#stopping.signal).catch((error: unknown) => {
      this.error = error;
    });
  }

  /** Reads nothing until the answer is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = promise;
    return resolve;
  }

  /** Waits until it agrees with a listing of `store`, and throws what went wrong on the way. */
  async agreesWith(store: Store, prefix: string, timeoutMs = patienceMs): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      if (this.error !== undefined) throw this.error;
      const different = await this.differsFrom(store, prefix);
      if (different.length === 0 && this.watch.synced) break;
      if (performance.now() > deadline) {
        const missing = `${different.slice(0, 5).join('; ')} (${different.length} in all)`;
        throw new Error(
          `Not the state of the store: ${missing}${this.watch.synced ? '' : '; its listing is not complete'}`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    if (this.problems.length > 0) throw new Error(this.problems.slice(0, 5).join('; '));
  }

  /** What a listing of `store` says otherwise. */
  async differsFrom(store: Store, prefix: string): Promise<string[]> {
    return difference(await contentsOf(store, prefix), this.state);
  }

  async until(check: () => boolean, timeoutMs = patienceMs): Promise<void> {
    const look = (): boolean => {
      if (this.error !== undefined) throw this.error;
      return check();
    };
    await eventually(look, timeoutMs, check);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async *#audit(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch, void, void> {
    for await (const batch of batches) {
      this.#book(batch);
      yield batch;
      await this.#gate;
    }
  }

  #book(batch: WatchBatch): void {
    if (batch.type === 'restart') {
      this.marks.push(batch.reason);
      this.#lastRevision = 0;
      this.#lastOf.clear();
      this.#synced = false;
    } else if (batch.type === 'synced') {
      this.marks.push('synced');
      this.#synced = true;
      this.#lastRevision = batch.revision;
    } else if (this.#synced) {
      for (const event of batch.events) {
        const revision = event.type === 'put' ? event.entry.modRevision : event.revision;
        const key = toText(event.type === 'put' ? event.entry.key : event.key);
        const line = `${event.type} ${key}@${revision}`;
        const last = this.#order === 'store' ? this.#lastRevision : (this.#lastOf.get(key) ?? 0);
        if (revision < last) this.problems.push(`${line} came after revision ${last}`);
        this.#lastOf.set(key, revision);
        if (this.live.includes(line, -500)) this.problems.push(`${line} came twice`);
        this.live.push(line);
        this.#lastRevision = revision;
      }
    }
  }
}

export async function contentsOf(store: Store, prefix: string): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for await (const page of store.list(prefix))
    for (const { key, value, modRevision } of page.entries)
      contents.set(toText(key).slice(prefix.length), `${toText(value)}@${modRevision}`);
  return contents;
}

function difference(truth: ReadonlyMap<string, string>, found: ReadonlyMap<string, string>): string[] {
  const lost = [...truth].filter(([key, value]) => found.get(key) !== value).map(([key]) => `${key} differs`);
  return [...lost, ...[...found.keys()].filter((key) => !truth.has(key)).map((key) => `${key} should not exist`)];
}

/** Writes `count` keys one revision each, many at a time; gives the lines that a mirror should book for them. */
export async function writeMany(
  store: Store,
  prefix: string,
  count: number,
  valueOf: (i: number) => string = (i) => `${i}`,
): Promise<string[]> {
  const lines: string[] = [];
  for (let at = 0; at < count; at += 100) {
    const batch = Array.from({ length: Math.min(100, count - at) }, (_, i) => at + i);
    const results = await Promise.all(batch.map((i) => store.put(`${prefix}${i}`, valueOf(i))));
    lines.push(...results.map(({ revision }, i) => `put ${prefix}${batch[i]}@${revision}`));
  }
  return lines;
}
