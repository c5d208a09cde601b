import {
  EngineStore,
  MemoryEngine,
  type Store,
  SyncStore,
  type SyncStoreOptions,
  type SyncableStore,
  type Transaction,
  toText,
} from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

/** A store in memory, sync stores over it, and a way to let things happen. */
export class Rig implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly engine = new MemoryEngine({ clock: this.clock });
  readonly store: Store = new EngineStore(this.engine, { clock: this.clock, endpoint: 'memory' });
  readonly #stops: (() => Promise<void>)[] = [];

  sync(options: Partial<SyncStoreOptions> = {}): SyncStore {
    return new SyncStore({
      store: this.store,
      clock: this.clock,
      log: silentLogger,
      scope: 'test',
      leaseTtlSeconds: 900,
      random: () => 0.5,
      ...options,
    });
  }

  /** Runs it until the answer is called. */
  run(sync: SyncStore): () => Promise<void> {
    const controller = new AbortController();
    const running = sync.run(controller.signal);
    const stop = async (): Promise<void> => {
      controller.abort();
      await running;
    };
    this.#stops.push(stop);
    return stop;
  }

  async contents(): Promise<Record<string, string>> {
    const result: Record<string, string> = {};
    for await (const page of this.store.list(''))
      for (const { key, value } of page.entries) result[toText(key)] = toText(value);
    return result;
  }

  async until(check: () => boolean | Promise<boolean>): Promise<void> {
    for (let i = 0; i < 2000; i++) {
      if (await check()) return;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error(`Never so: ${check.toString()}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stop of this.#stops) await stop();
    await this.store[Symbol.asyncDispose]();
    await this.engine[Symbol.asyncDispose]();
  }
}

/** The store, with every transaction shown to `look` first, which may throw. */
export function watched(store: Store, look: (transaction: Transaction) => void, after = false): SyncableStore {
  return {
    list: (prefix, options) => store.list(prefix, options),
    grantLease: (options) => store.grantLease(options),
    transact: async (transaction, options) => {
      if (!after) look(transaction);
      const result = await store.transact(transaction, options);
      if (after) look(transaction);
      return result;
    },
  };
}

export const keysOf = (transaction: Transaction): string[] => transaction.then.map(({ key }) => String(key));
