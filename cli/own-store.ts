import {
  type Engine,
  EngineStore,
  type EtcdTuning,
  type Store,
  type StoreAddress,
  StoreAddressError,
  type StoreKind,
  formatStoreAddress,
  openStore,
  storeAddressOf,
} from '../kvstore/index.ts';
import { UsageError, formatHostPort } from '../runtime/options/index.ts';
import type { EngineSettings } from './engine-options.ts';
import { type ServeDependencies, type ServeEngineOptions, openEngine, serveEngine } from './serve-store.ts';

/** The store of a process that publishes a cluster. Disposing closes what was opened for it. */
export interface OwnStore extends AsyncDisposable {
  readonly store: Store;
  /** For people, without secrets. */
  readonly name: string;
  /** Where it is served over the etcd v3 API; absent for a store that is not ours. */
  readonly servedAt: string | undefined;
  /** Absent for a store that is not ours. */
  readonly engine: Engine | undefined;
  /** The process has started up: from now on the limits for steady times hold. */
  readonly bootstrapped: () => void;
}

/** What `--store`, `--store-config` and `--data-dir` mean together. @throws {UsageError} */
export function ownStoreAddress(options: {
  readonly store: StoreKind | 'memory';
  readonly storeConfig: string | undefined;
  readonly dataDir: string | undefined;
}): StoreAddress | 'memory' {
  const { store: kind, storeConfig: configFile, dataDir: dataDirectory } = options;
  const isOurs = kind === 'memory' || kind === 'embedded';
  if (isOurs && configFile !== undefined)
    throw new UsageError(`--store-config says nothing about --store ${kind}`, {
      option: '--store-config',
      hint: 'give --store etcd or --store consul with it, or leave it out',
    });
  if (kind === 'memory') return 'memory';
  try {
    return storeAddressOf({ kind, configFile, dataDirectory });
  } catch (error) {
    if (!(error instanceof StoreAddressError)) throw error;
    const option = kind === 'embedded' ? '--data-dir' : '--store-config';
    throw new UsageError(error.message, { option, hint: error.hint });
  }
}

/** Opens it, and serves it if it is ours to serve. */
export async function openOwnStore(
  address: StoreAddress | 'memory',
  serving: ServeEngineOptions,
  settings: EngineSettings,
  deps: ServeDependencies & { readonly tuning: EtcdTuning },
): Promise<OwnStore> {
  if (address !== 'memory' && address.kind !== 'embedded') {
    const opened = await openStore(address, deps);
    const close = (): PromiseLike<void> => opened[Symbol.asyncDispose]();
    return {
      store: opened.store,
      name: formatStoreAddress(address),
      servedAt: undefined,
      engine: undefined,
      bootstrapped: () => opened.bootstrapped(),
      [Symbol.asyncDispose]: close,
    };
  }
  const engine = await openEngine(address === 'memory' ? undefined : address.directory, settings, deps);
  try {
    return await serve(engine, serving, deps);
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw error;
  }
}

async function serve(engine: Engine, serving: ServeEngineOptions, deps: ServeDependencies): Promise<OwnStore> {
  const server = await serveEngine(engine, serving, deps);
  const servedAt = formatHostPort(server.address());
  const name = `embedded at ${servedAt}`;
  const store = new EngineStore(engine, { clock: deps.clock, endpoint: name });
  return {
    store,
    name,
    servedAt,
    engine,
    bootstrapped: () => undefined,
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
      await engine[Symbol.asyncDispose]();
    },
  };
}
