import {
  ConsulConfigError,
  type EtcdAdministered,
  EtcdConfigError,
  type OpenStore,
  type OpenStoreOptions,
  type StoreAddress,
  StoreAddressError,
  StoreDirectoryError,
  openEtcdAdminAt,
  openStore,
  parseStoreAddress,
  storeAddressOf,
  storeKinds,
} from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, createLogger } from '../../runtime/log/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import type { CommandContext } from '../command.ts';

/** How a tool is told which store it works on. */
export const storeOptions = defineOptions({
  store: {
    type: 'string',
    default: 'http://127.0.0.1:2379',
    placeholder: 'STORE',
    help: 'http://HOST:PORT, https://HOST:PORT, etcd:FILE, consul:FILE or embedded:DIR; or the kind alone, with the options below',
  },
  'store-config': {
    type: 'string',
    placeholder: 'FILE',
    help: 'How an etcd or Consul is reached, for --store etcd|consul',
  },
  'data-dir': { type: 'string', placeholder: 'DIR', help: 'Data directory, for --store embedded' },
});

/** Said on the help page of every tool. */
export const storeDescription =
  'A store is named by a URL (the etcd v3 API: etcd, isthmus store serve, isthmus apiserver), by a configuration file\n(etcd:FILE, consul:FILE), or by the data directory of an embedded store that no process has open (embedded:DIR).';

export interface StoreValues {
  readonly store: string;
  readonly storeConfig: string | undefined;
  readonly dataDir: string | undefined;
}

/** The store that the options name. @throws {UsageError} */
export function addressFrom(values: StoreValues): StoreAddress {
  const { store, storeConfig: configFile, dataDir: dataDirectory } = values;
  const kind = storeKinds.find((name) => name === store);
  if (kind) return asUsage('--store', () => storeAddressOf({ kind, configFile, dataDirectory }));
  return addressNamed(store, '--store');
}

/** @param shown what to call it in messages: an option, or `A` and `B` */
export function addressNamed(text: string, shown: string): StoreAddress {
  return asUsage(shown, () => parseStoreAddress(text));
}

/** Opens the store; mistakes in how it was named become {@link UsageError}s. */
export async function openNamed(
  context: CommandContext,
  address: StoreAddress,
  options: OpenStoreOptions = {},
): Promise<OpenStore> {
  return await named(context, (deps) => openStore(address, deps, options));
}

/** Opens the administration of an etcd, likewise. */
export async function openNamedAdmin(context: CommandContext, address: StoreAddress): Promise<EtcdAdministered> {
  return await named(context, (deps) => openEtcdAdminAt(address, deps));
}

async function named<T>(
  { clock, stderr }: CommandContext,
  open: (deps: { readonly clock: Clock; readonly log: Logger }) => Promise<T>,
): Promise<T> {
  const log = createLogger({ level: 'warn', format: 'text', clock, write: stderr }, { component: 'store' });
  try {
    return await open({ clock, log });
  } catch (error) {
    if (error instanceof StoreAddressError) throw usageError('--store', error);
    if (error instanceof EtcdConfigError || error instanceof ConsulConfigError)
      throw new UsageError(error.message, { hint: 'correct the configuration file', cause: error });
    if (error instanceof StoreDirectoryError && error.problem === 'in-use')
      throw new UsageError(error.message, {
        hint: 'a process that serves it is asked at its address instead: http://HOST:PORT or etcd:FILE',
        cause: error,
      });
    throw error;
  }
}

function asUsage<T>(shown: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof StoreAddressError ? usageError(shown, error) : error;
  }
}

function usageError(shown: string, error: StoreAddressError): UsageError {
  return new UsageError(`${shown}: ${error.message}`, { option: shown, hint: error.hint });
}
