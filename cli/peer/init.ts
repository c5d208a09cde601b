import { resolve } from 'node:path';
import { PeerFolder, readOwnMesh, renewOwn } from '../../clustermesh/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';
import { clusterOptions, ownCluster } from '../cluster-options.ts';
import { defineCommand } from '../command.ts';
import { requireDirectoryOrNothing } from '../system-error.ts';
import { commandLog, folderOption } from './folder-option.ts';

const hour = 3_600_000;

/** `isthmus peer init`: authority, certificates, and what others are told of this cluster. */
export const peerInit = defineCommand({
  description:
    'Makes the folder with an authority of the cluster, and certificates for its server (which Cilium accepts too), for\nroot (admin), for readers of the cache (local), and for us at clusters that know our authority (remote). Once more, it\nchanges what is given and leaves the rest. isthmus apiserver --peer-dir serves with it and renews it all before it expires.\nOnly its owner can read what lies there.',
  options: defineOptions({
    ...folderOption,
    ...clusterOptions,
    endpoint: {
      type: 'list',
      placeholder: 'URL',
      help: 'Where other clusters reach the store, https://HOST:PORT; may be repeated',
    },
    enrolment: {
      type: 'string',
      placeholder: 'URL',
      help: 'Where other clusters enrol and renew, https://HOST:PORT; that is --peer-listen of the apiserver as others see it',
    },
    san: {
      type: 'list',
      placeholder: 'NAME',
      help: 'One more name or address of the server, besides those of the endpoints; may be repeated',
    },
    namespace: { type: 'string', help: 'Kubernetes namespace of clustermesh-apiserver; kube-system unless given' },
    'ca-dir': {
      type: 'string',
      placeholder: 'DIR',
      help: 'Sign with an authority that somebody else looks after: tls.crt and tls.key, as of cert-manager; replaced files are noticed',
    },
    'certificate-lifetime': { type: 'duration', help: '90 days (2160h) unless given' },
    'authority-lifetime': { type: 'duration', help: '10 years (87600h) unless given' },
  }),
  examples: [
    'isthmus peer init --cluster-name east --cluster-id 1 --endpoint https://east.example:2379 --enrolment https://east.example:2380',
    'isthmus apiserver --peer-dir /var/lib/isthmus/peers --peer-listen 0.0.0.0:2380 --listen 0.0.0.0:2379 …',
  ],
  ends: true,
  run: async (context, { options }) => {
    process.umask(0o077);
    const cluster = ownCluster(options);
    requireDirectoryOrNothing('--peer-dir', options.peerDir);
    for (const url of options.endpoint) requireEndpoint('--endpoint', url);
    if (options.enrolment !== undefined) requireEndpoint('--enrolment', options.enrolment);
    const before = await readOwnMesh(options.peerDir);
    if (before && (before.name !== cluster.clusterName || before.id !== cluster.clusterId))
      throw new UsageError(`${options.peerDir} belongs to the cluster ${before.name} (id ${before.id})`, {
        option: '--peer-dir',
        hint: 'one folder holds what belongs to one cluster',
      });
    if (before && before.maxConnectedClusters !== cluster.maxConnectedClusters)
      throw new UsageError(`${options.peerDir} belongs to a mesh of ${before.maxConnectedClusters} clusters`, {
        option: '--max-connected-clusters',
        hint: `--max-connected-clusters ${before.maxConnectedClusters}, as in every cluster of that mesh`,
      });
    const certificateLifetimeMs = options.certificateLifetimeMs ?? before?.certificateLifetimeMs ?? 90 * 24 * hour;
    const folder = await PeerFolder.create(
      options.peerDir,
      {
        name: cluster.clusterName,
        id: cluster.clusterId,
        maxConnectedClusters: cluster.maxConnectedClusters,
        endpoints: options.endpoint.length > 0 ? options.endpoint : (before?.endpoints ?? []),
        enrolment: options.enrolment ?? before?.enrolment,
        extraNames: options.san.length > 0 ? options.san : (before?.extraNames ?? []),
        namespace: options.namespace ?? before?.namespace ?? 'kube-system',
        certificateLifetimeMs,
        authorityLifetimeMs: options.authorityLifetimeMs ?? before?.authorityLifetimeMs ?? 10 * 365 * 24 * hour,
        // Whoever reads it later may be started elsewhere.
        authorityFolder: options.caDir === undefined ? before?.authorityFolder : resolve(options.caDir),
      },
      context.clock,
    );
    await renewOwn(folder, { clock: context.clock, log: commandLog(context) });
    context.stdout(`${folder.paths.root} holds the authority and certificates of ${cluster.clusterName}\n`);
    return 0;
  },
});

/** @throws {UsageError} */
function requireEndpoint(option: string, url: string): void {
  const parsed = URL.parse(url);
  if (parsed?.protocol === 'https:' && parsed.pathname === '/' && parsed.username === '' && parsed.search === '')
    return;
  throw new UsageError(`${option} is no endpoint: expected https://HOST:PORT`, { option });
}
