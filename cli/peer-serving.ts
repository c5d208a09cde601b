import {
  CertificateKeeper,
  PeerFolder,
  expiries,
  peerPaths,
  readOwnMesh,
  renewOwn,
  serveEnrolment,
} from '../clustermesh/index.ts';
import { type HostPort, UsageError, defineOptions, formatHostPort } from '../runtime/options/index.ts';
import type { OwnCluster } from './cluster-options.ts';
import type { ServeSecurityValues } from './serve-security.ts';
import type { ServeDependencies } from './serve-store.ts';

/** How an apiserver looks after certificates and peers. */
export const peerServingOptions = defineOptions({
  'peer-dir': {
    type: 'string',
    placeholder: 'DIR',
    help: 'Serve with the certificates of this folder (isthmus peer init), renew them, and let in the peers that it names',
  },
  'peer-listen': {
    type: 'address',
    help: 'With --peer-dir: address where invited clusters enrol, and peers renew their certificates',
  },
});

interface PeerServingValues extends ServeSecurityValues {
  readonly peerDir: string | undefined;
  readonly peerListen: HostPort | undefined;
}

/**
 * The options as they are with the files of the folder, where there is one.
 * @throws {UsageError} for files that are named twice, and for the folder of another cluster
 */
export async function withPeerFiles<V extends PeerServingValues>(options: V, cluster: OwnCluster): Promise<V> {
  const { peerDir, peerListen } = options;
  if (peerDir === undefined) {
    if (peerListen === undefined) return options;
    throw new UsageError('--peer-listen needs --peer-dir', {
      option: '--peer-dir',
      hint: 'name the folder that isthmus peer init has made',
    });
  }
  const named = [options.certFile, options.keyFile, options.trustedCaFile, options.usersFile];
  const twice = ['cert-file', 'key-file', 'trusted-ca-file', 'users-file'].find((_, i) => named[i] !== undefined);
  if (twice !== undefined)
    throw new UsageError(`--${twice} says what --peer-dir says already`, {
      option: `--${twice}`,
      hint: 'leave one of them out',
    });
  const own = await readOwnMesh(peerDir);
  if (!own)
    throw new UsageError(`--peer-dir ${peerDir} is no folder of certificates and peers`, {
      option: '--peer-dir',
      hint: `isthmus peer init --peer-dir ${peerDir} --cluster-name ${cluster.clusterName} --cluster-id ${cluster.clusterId} makes it`,
    });
  if (own.name !== cluster.clusterName || own.id !== cluster.clusterId)
    throw new UsageError(`--peer-dir ${peerDir} belongs to the cluster ${own.name} (id ${own.id})`, {
      option: '--peer-dir',
    });
  if (own.maxConnectedClusters !== cluster.maxConnectedClusters)
    throw new UsageError(
      `--peer-dir ${peerDir} belongs to a mesh of ${own.maxConnectedClusters} clusters, and this is to be one of ${cluster.maxConnectedClusters}`,
      { option: '--max-connected-clusters', hint: `--max-connected-clusters ${own.maxConnectedClusters}` },
    );
  const paths = peerPaths(peerDir);
  const { certFile, keyFile } = paths.certificate('server');
  return { ...options, certFile, keyFile, trustedCaFile: paths.trustedFile, usersFile: paths.usersFile };
}

/** What an apiserver says of certificates: `certificates` of its status. */
export interface PeerServingStatus {
  /** Where peers enrol; absent where they do not. */
  readonly enrolment?: string;
  readonly certificates: readonly {
    readonly certificate: string;
    readonly fingerprint: string;
    readonly notAfter: string;
  }[];
  /** Peers that could not be asked about certificates, and why. */
  readonly troubles: Readonly<Record<string, string>>;
  /** How soon taking a certificate back ends what is open with it, and where it does not. */
  readonly revocation: { readonly withinSeconds: number; readonly gap?: string };
}

/** Certificates and peers in a process that serves. */
export interface PeerServing extends AsyncDisposable {
  /** Renews, until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  status(): Promise<PeerServingStatus>;
}

/** A status with what there is to say of certificates. */
export async function withCertificates<S extends object>(
  status: S,
  peering: PeerServing | undefined,
): Promise<S & { readonly certificates?: PeerServingStatus }> {
  return peering ? { ...status, certificates: await peering.status() } : status;
}

/** Renews what is due before anything is served, and answers peers. Undefined without a folder. @throws {ListenError} */
export async function openPeerServing(
  { peerDir, peerListen, store }: PeerServingValues & { readonly store: string },
  deps: ServeDependencies,
): Promise<PeerServing | undefined> {
  if (peerDir === undefined) return undefined;
  const { clock, log } = deps;
  const folder = await PeerFolder.open(peerDir, clock);
  await renewOwn(folder, deps);
  const keeper = new CertificateKeeper({ folder, ...deps });
  const server = peerListen && (await serveEnrolment(peerListen, { folder, clock, log }));
  if (server) log.info('Serving enrolment of peers', { endpoint: formatHostPort(server.address) });
  return {
    run: (signal) => keeper.run(signal),
    status: async () => ({
      ...(server ? { enrolment: formatHostPort(server.address) } : {}),
      certificates: (await expiries(folder)).map(({ certificate, fingerprint, notAfterMs }) => ({
        certificate,
        fingerprint,
        notAfter: new Date(notAfterMs).toISOString(),
      })),
      troubles: Object.fromEntries([...keeper.troubles].map(([name, { reason }]) => [name, reason])),
      revocation: revocationOf(store),
    }),
    [Symbol.asyncDispose]: async () => await server?.[Symbol.asyncDispose](),
  };
}

/** Users of a store of ours, and of the mirror, are read again every two seconds; etcd believes a certificate until it expires. */
function revocationOf(store: string): PeerServingStatus['revocation'] {
  if (store !== 'etcd') return { withinSeconds: 5 };
  const gap =
    'etcd knows none: whom isthmus store users --prune takes out may ask nothing more, but what he has open goes on, until his certificate expires if it is never done; the mirror ends it within 5 s';
  return { withinSeconds: 5, gap };
}
