import type { ConsulStore } from '../consul/index.ts';
import {
  type CallOptions,
  type Engine,
  InvalidRequestError,
  PermissionDeniedError,
  prefixEnd,
  toBytes,
} from '../contract/index.ts';
import { toStoreError } from '../engine/index.ts';
import type { EtcdStore } from '../etcd/index.ts';
import type { StatusOptions, StoreStatus } from './store-status.ts';

/** What a kind of store can do beyond the contract. */
export interface Administration {
  status(options: StatusOptions): Promise<Omit<StoreStatus, 'kind' | 'endpoint' | 'storeId' | 'answerMs'>>;
  compact(revision: number, options: CallOptions): Promise<void>;
  defragment(options: CallOptions): Promise<void>;
  leaseTtl(id: bigint, options: CallOptions): Promise<number | undefined>;
}

export function engineAdministration(engine: Engine): Administration {
  return {
    status: async ({ prefix = '' }) => {
      const { version, dbSize, dbSizeInUse, keys: all, problem } = await engine.status();
      const keys =
        prefix.length === 0
          ? all
          : (await engine.range({ key: toBytes(prefix), rangeEnd: prefixEnd(toBytes(prefix)), countOnly: true })).count;
      const sizes = { sizeBytes: dbSize, sizeInUseBytes: dbSizeInUse };
      return { version, revision: engine.revision, keys, ...sizes, problem: problem?.message };
    },
    compact: async (revision) => {
      try {
        await engine.compact(revision);
      } catch (error) {
        throw toStoreError(error, `revision ${revision}`, engine.compactRevision);
      }
    },
    defragment: () => refuse('An embedded store is made smaller by a snapshot that is restored elsewhere'),
    leaseTtl: async (id) => grantedTtl(await engine.leaseTimeToLive(id, false)),
  };
}

export function etcdAdministration(store: EtcdStore): Administration {
  return {
    status: async ({ prefix = '', ...options }) => {
      const { version, dbSize, dbSizeInUse, revision, errors } = await store.status(options);
      const problem = errors.length === 0 ? undefined : errors.join('; ');
      const counted = await countIfAllowed(store.count(prefix, options));
      return { version, revision, ...counted, sizeBytes: dbSize, sizeInUseBytes: dbSizeInUse, problem };
    },
    compact: (revision, options) => store.compact(revision, options),
    defragment: (options) => store.defragment(options),
    leaseTtl: async (id, options) => grantedTtl(await store.leaseTimeToLive(id, options)),
  };
}

export function consulAdministration(store: ConsulStore): Administration {
  return {
    status: async ({ prefix = '', exact = false, ...options }) => {
      const counted = await countIfAllowed(store.count(prefix, { ...options, exact }));
      const leader = await store.admin.leader();
      return {
        // Not everybody may ask an agent what it is.
        version: await store.admin.version().catch(unlessDenied),
        ...counted,
        // Told with what is read; before that there is none.
        revision: store.health().revision || undefined,
        sizeBytes: undefined,
        sizeInUseBytes: undefined,
        problem: leader === undefined ? 'no server leads, so nothing can be written' : undefined,
      };
    },
    compact: () => refuse('Consul keeps no history that could be compacted'),
    defragment: () => refuse('Consul has no file to defragment'),
    leaseTtl: async () => undefined,
  };
}

/** Who may read a part only has a store nevertheless; who is not known at all has none. */
async function countIfAllowed(counting: Promise<number>): Promise<Pick<StoreStatus, 'keys' | 'notCounted'>> {
  try {
    return { keys: await counting };
  } catch (error) {
    if (!(error instanceof PermissionDeniedError) || /acl not found|log in/i.test(error.message)) throw error;
    return { keys: undefined, notCounted: error.message };
  }
}

/** A lease that is gone has none. */
function grantedTtl({ ttl, grantedTtl }: { readonly ttl: number; readonly grantedTtl: number }): number | undefined {
  return ttl < 0 || grantedTtl <= 0 ? undefined : grantedTtl;
}

function unlessDenied(error: unknown): undefined {
  if (!(error instanceof PermissionDeniedError)) throw error;
  return undefined;
}

async function refuse(why: string): Promise<never> {
  throw new InvalidRequestError(why);
}
