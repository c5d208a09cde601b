import { type CachedClusterStatus, type KvstoreMesh, leaderLock } from '../../../../clustermesh/index.ts';
import { toText } from '../../../../kvstore/index.ts';
import type { Rig } from './support.ts';

export type Started = ReturnType<Rig['start']>;
type Wish = Partial<Parameters<Rig['start']>>;
export type Copied = (...wish: Wish) => Promise<Started>;

/** Starts a kvstoremesh, and waits until all its remotes are copied. */
export async function startCopied(rig: Rig, ...[names = ['west'], options = {}]: Wish): Promise<Started> {
  const started = rig.start(names, options);
  await rig.until(() => started.mesh.clusters().filter((one) => one.ready).length === names.length);
  return started;
}

/** Of the only remote. */
export function state(mesh: KvstoreMesh): CachedClusterStatus | undefined {
  return mesh.clusters()[0];
}

/** Keys of `cilium/` that vanish from the local store from now on, those of locks apart. */
export async function watchLosses(rig: Rig): Promise<AsyncDisposable & { readonly keys: string[] }> {
  const controller = new AbortController();
  const keys: string[] = [];
  const listed = Promise.withResolvers<void>();
  const following = (async () => {
    for await (const batch of rig.look.listAndWatch('cilium/', { signal: controller.signal })) {
      if (batch.type === 'synced') listed.resolve();
      if (batch.type !== 'changes') continue;
      for (const event of batch.events)
        if (event.type === 'delete' && !toText(event.key).startsWith(leaderLock)) keys.push(toText(event.key));
    }
  })();
  await listed.promise;
  return {
    keys,
    [Symbol.asyncDispose]: async () => {
      controller.abort();
      await following;
    },
  };
}
