import { clusterConfigKey, resources, syncedKey } from '../clustermesh/index.ts';
import { ReadMirror, type Store } from '../kvstore/index.ts';
import { type HostPort, UsageError, defineOptions, formatHostPort } from '../runtime/options/index.ts';
import { type ServeSecurityValues, serveSecurity } from './serve-security.ts';
import { type ServeDependencies, type ServeEngineOptions, serveEngine } from './serve-store.ts';

/** How a process serves what a store of others holds to those who speak only the etcd v3 API. */
export const mirrorOptions = defineOptions({
  'mirror-listen': {
    type: 'address',
    help: 'With --store consul or etcd: serve a read-only mirror of cilium/ over the etcd v3 API here, for other clusters',
  },
});

/** What peers read of a cluster (kvstore schema of Cilium). */
const mirroredPrefix = 'cilium/';

type MirrorServing = ServeEngineOptions & { readonly clusterName: string };

/** How the mirror is served; none unless asked for. @throws {UsageError} for a mirror of a store that serves itself. */
export function requireMirrored(
  options: ServeSecurityValues & {
    readonly store: string;
    readonly clusterName: string;
    readonly mirrorListen: HostPort | undefined;
  },
): MirrorServing | undefined {
  const { store, clusterName, mirrorListen } = options;
  if (mirrorListen === undefined) return undefined;
  if (store !== 'etcd' && store !== 'consul')
    throw new UsageError(`--mirror-listen says nothing about --store ${store}`, {
      option: '--mirror-listen',
      hint: 'a store of our own is served by --listen already',
    });
  return { listen: mirrorListen, security: serveSecurity(mirrorListen, options, '--mirror-listen'), clusterName };
}

/** The mirror that was asked for; it serves once it is in step with a store that its cluster has been written into as a whole. */
export function mirrorOf(
  store: Pick<Store, 'listAndWatch'>,
  serving: MirrorServing | undefined,
  deps: ServeDependencies,
): ReadMirror | undefined {
  if (!serving) return undefined;
  const { clock, log } = deps;
  const { clusterName } = serving;
  return new ReadMirror({
    from: store,
    prefix: mirroredPrefix,
    vouching: clusterConfigKey(clusterName),
    // An apiserver says of all of them when they are complete, of those that it leaves out, too.
    awaited: [clusterConfigKey(clusterName), ...resources.map((resource) => syncedKey(clusterName, resource))],
    clock,
    log,
    serve: async (engine) => {
      const server = await serveEngine(engine, serving, deps);
      log.info('Serving a read-only mirror', { endpoint: formatHostPort(server.address()) });
      return server;
    },
  });
}
