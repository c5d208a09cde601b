import { readFile, readdir } from 'node:fs/promises';
import type { Clock } from '../../runtime/clock/index.ts';
import { reasonOf } from '../../runtime/files/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import { openConsulStore } from '../consul/index.ts';
import type { CallOptions, Store } from '../contract/index.ts';
import { openEmbeddedEngine } from '../embedded/index.ts';
import { EngineStore } from '../engine/index.ts';
import {
  type EtcdAdmin,
  type EtcdTarget,
  type EtcdTuning,
  openEtcdAdmin,
  openEtcdStore,
  parseEtcdConfig,
  warnIfUnverified,
} from '../etcd/index.ts';
import {
  type Administration,
  consulAdministration,
  engineAdministration,
  etcdAdministration,
} from './administration.ts';
import { parseConsulConfig } from './consul-config.ts';
import { type StoreAddress, StoreAddressError, formatStoreAddress } from './store-address.ts';
import type { StatusOptions, StoreStatus } from './store-status.ts';

export interface OpenStoreDependencies {
  readonly clock: Clock;
  readonly log: Logger;
  /** How an etcd is used; without limits unless told. */
  readonly tuning?: EtcdTuning;
}

export interface OpenStoreOptions {
  /** Whether an embedded store is made where the directory holds none. Default false: a reader must not invent one. */
  readonly create?: boolean;
}

/** A store with what only operators ask of it. Disposing closes it, and the engine if it lives in this process. */
export interface OpenStore extends AsyncDisposable {
  readonly address: StoreAddress;
  readonly store: Store;
  status(options?: StatusOptions): Promise<StoreStatus>;
  /** The owner has started up: from now on the limits for steady times hold. */
  bootstrapped(): void;
  /** Forgets what was before `revision`. @throws {InvalidRequestError} where the store keeps no history. */
  compact(revision: number, options?: CallOptions): Promise<void>;
  /** Gives freed space back to the disk. @throws {InvalidRequestError} where that cannot be done from here. */
  defragment(options?: CallOptions): Promise<void>;
  /** Seconds that a lease was granted for; undefined when it is gone, or the store does not tell. */
  leaseTtl(id: bigint, options?: CallOptions): Promise<number | undefined>;
}

/**
 * The one place that turns an address into a store. Servers are connected to when they are first asked.
 * @throws {StoreAddressError} {@link EtcdConfigError} {@link ConsulConfigError} {@link StoreDirectoryError}
 */
export async function openStore(
  address: StoreAddress,
  deps: OpenStoreDependencies,
  options: OpenStoreOptions = {},
): Promise<OpenStore> {
  if (address.kind === 'embedded') return openEmbedded(address, deps, options);
  if (address.kind === 'consul') {
    const { ignored, ...config } = parseConsulConfig(await readConfig(address.configFile), address.configFile);
    warnOfIgnored(address.configFile, ignored, deps.log);
    warnIfUnverified(address.configFile, config.tls, deps.log);
    const store = openConsulStore({ ...config, clock: deps.clock, log: deps.log });
    return opened(address, store, consulAdministration(store), () => store[Symbol.asyncDispose]());
  }
  const { clock, log, tuning = {} } = deps;
  const store = openEtcdStore({ ...(await etcdTarget(address, log)), ...tuning, clock, log });
  const result = opened(address, store, etcdAdministration(store), () => store[Symbol.asyncDispose]());
  return { ...result, bootstrapped: () => store.bootstrapped() };
}

/** An etcd that is administered. */
export interface EtcdAdministered {
  readonly admin: EtcdAdmin;
  readonly target: EtcdTarget;
}

/**
 * Users, roles and members of the etcd at an address.
 * @throws {StoreAddressError} for another kind of store {@link EtcdConfigError}
 */
export async function openEtcdAdminAt(
  address: StoreAddress,
  { clock, log }: Pick<OpenStoreDependencies, 'clock' | 'log'>,
): Promise<EtcdAdministered> {
  if (address.kind !== 'etcd')
    throw new StoreAddressError(
      `${formatStoreAddress(address)} is no etcd: it has no users of its own`,
      'name an etcd: etcd:FILE, http://HOST:PORT or https://HOST:PORT',
    );
  const target = await etcdTarget(address, log);
  return { admin: await openEtcdAdmin({ ...target, clock }), target };
}

async function openEmbedded(
  address: StoreAddress & { readonly kind: 'embedded' },
  { clock, log }: OpenStoreDependencies,
  { create = false }: OpenStoreOptions,
): Promise<OpenStore> {
  const { directory } = address;
  if (!create && (await isEmpty(directory)))
    throw new StoreAddressError(`There is no store in ${directory}`, 'name the data directory of an embedded store');
  const engine = await openEmbeddedEngine({ directory, clock, log });
  const store = new EngineStore(engine, { clock, endpoint: formatStoreAddress(address) });
  return opened(address, store, engineAdministration(engine), async () => {
    await store[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
  });
}

/** True for a directory without anything in it, and for one that does not exist. */
async function isEmpty(directory: string): Promise<boolean> {
  try {
    return (await readdir(directory)).length === 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return true;
    throw new StoreAddressError(`Cannot look into ${directory}: ${reasonOf(error)}`, 'check path and permission');
  }
}

function opened(
  address: StoreAddress,
  store: Store,
  administration: Administration,
  close: () => Promise<void>,
): OpenStore {
  return {
    address,
    store,
    status: async (options = {}) => {
      const started = performance.now();
      const facts = await administration.status(options);
      const { endpoint, storeId } = store.health();
      const answerMs = Math.round((performance.now() - started) * 10) / 10;
      return { kind: address.kind, endpoint, storeId, ...facts, answerMs };
    },
    bootstrapped: () => undefined,
    compact: (revision, options = {}) => administration.compact(revision, options),
    defragment: (options = {}) => administration.defragment(options),
    leaseTtl: (id, options = {}) => administration.leaseTtl(id, options),
    [Symbol.asyncDispose]: close,
  };
}

async function etcdTarget(
  address: Exclude<StoreAddress, { readonly kind: 'embedded' }>,
  log: Logger,
): Promise<EtcdTarget> {
  if ('endpoint' in address) return { endpoints: [address.endpoint] };
  const { configFile } = address;
  const { ignored, ...target } = parseEtcdConfig(await readConfig(configFile), configFile);
  warnOfIgnored(configFile, ignored, log);
  warnIfUnverified(configFile, target.tls, log);
  if (target.password === undefined) return target;
  return { ...target, rereadPassword: () => passwordIn(configFile, target.username) };
}

/** Undefined while the file cannot be used, as in the middle of a change, or names somebody else. */
async function passwordIn(configFile: string, username: string | undefined): Promise<string | undefined> {
  try {
    const config = parseEtcdConfig(await readConfig(configFile), configFile);
    return config.username === username ? config.password : undefined;
  } catch {
    return undefined;
  }
}

async function readConfig(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new StoreAddressError(
      `Cannot read the store’s configuration ${file}: ${reasonOf(error)}`,
      'check path and permission',
    );
  }
}

function warnOfIgnored(file: string, ignored: readonly string[], log: Logger): void {
  if (ignored.length > 0)
    log.warn('Fields of the store’s configuration are not known and have no effect', { file, ignored });
}
