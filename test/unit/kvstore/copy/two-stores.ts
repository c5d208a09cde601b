import {
  EngineStore,
  type KeyValue,
  MemoryEngine,
  type MirrorOptions,
  type MirrorProgress,
  type Store,
  compareStores,
  mirror,
  toText,
} from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

const clock = systemClock;
const never = new AbortController().signal;

/** Two stores in memory, a source and a target. */
export class TwoStores implements AsyncDisposable {
  readonly engines = [new MemoryEngine({ clock }), new MemoryEngine({ clock })] as const;
  readonly a = new EngineStore(this.engines[0], { clock, endpoint: 'a' });
  readonly b = new EngineStore(this.engines[1], { clock, endpoint: 'b' });
  readonly #running: { readonly stopping: AbortController; readonly ended: Promise<MirrorProgress> }[] = [];

  copyOnce(options: Partial<MirrorOptions> = {}, signal = never): Promise<MirrorProgress> {
    return mirror({ ...this.#defaults(), once: true, ...options }, { clock, log: silentLogger }, signal);
  }

  /** Starts a copier, and settles when it is in step. Gives what stops it. */
  async follow(options: Partial<MirrorOptions> = {}): Promise<() => Promise<MirrorProgress>> {
    const stopping = new AbortController();
    const inStep = Promise.withResolvers<void>();
    const onProgress = (progress: MirrorProgress): void => {
      options.onProgress?.(progress);
      if (progress.phase === 'following') inStep.resolve();
    };
    const settings = { ...this.#defaults(), ...options, onProgress };
    const ended = mirror(settings, { clock, log: silentLogger }, stopping.signal);
    ended.catch((error: unknown) => inStep.reject(error));
    this.#running.push({ stopping, ended });
    await inStep.promise;
    return () => {
      stopping.abort();
      return ended;
    };
  }

  /** Differences as `kind key`, after what is on its way has arrived. */
  async differences(settleMs = 2000): Promise<string[]> {
    const { a, b } = this;
    const { differences } = await compareStores({ a, b, prefix: '', settleMs, clock, signal: never });
    return differences.map(({ key, kind }) => `${kind} ${toText(key)}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { stopping } of this.#running) stopping.abort();
    await Promise.allSettled(this.#running.map(({ ended }) => ended));
    await Promise.all([this.a, this.b].map((store) => store[Symbol.asyncDispose]()));
    await Promise.all(this.engines.map((engine) => engine[Symbol.asyncDispose]()));
  }

  #defaults(): MirrorOptions {
    return { from: this.a, to: this.b, prefix: '', leaseTtlSeconds: 60 };
  }
}

/** Repeats until the look succeeds. */
export async function eventually<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function valueOf(store: Store, key: string): Promise<string | undefined> {
  const entry = await store.get(key);
  return entry && toText(entry.value);
}

export async function entryOf(store: Store, key: string): Promise<KeyValue> {
  const entry = await store.get(key);
  if (!entry) throw new Error(`No key ${key}`);
  return entry;
}
