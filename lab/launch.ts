import { mkdir, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ChildOptions } from './processes/index.ts';
import { type LabPaths, apiserverPaths, nodePaths } from './state/index.ts';
import type { ClusterStores } from './stores/index.ts';
import type { LabSubstrate } from './substrate/index.ts';
import type { LabCluster, Topology } from './topology/index.ts';

const cliMain = fileURLToPath(
  new URL(`../cli/main${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url),
);

/** What the processes of a lab are started with. */
export interface LaunchContext {
  readonly topology: Topology;
  readonly paths: LabPaths;
  readonly substrate: LabSubstrate;
  readonly stores: ClusterStores;
  readonly logLevel: string;
}

/** Writes what a cluster's apiserver needs and says how it is started. */
export async function apiserverLaunch(context: LaunchContext, cluster: LabCluster): Promise<ChildOptions> {
  const paths = apiserverPaths(context.paths, cluster.name);
  await mkdir(paths.dataDirectory, { recursive: true, mode: 0o700 });
  return {
    role: `${cluster.name}/apiserver`,
    argv: [
      cliMain,
      'apiserver',
      '--insecure',
      ...flags({
        'cluster-name': cluster.name,
        'cluster-id': cluster.id,
        source: `stream:${paths.sourceSocket}`,
        'api-socket': paths.apiSocket,
        'metrics-address': context.substrate.metricsAddress,
        'log-level': context.logLevel,
      }),
      ...context.stores.apiserverArguments(cluster.name),
    ],
    logFile: paths.logFile,
    within: context.substrate.within(cluster.name, 'apiserver'),
  };
}

/** Writes a node's store configuration and one file for each remote cluster, and says how its agent is started. */
export async function agentLaunch(context: LaunchContext, cluster: LabCluster, node: string): Promise<ChildOptions> {
  const { substrate, topology, stores } = context;
  const kind = stores.kindOf(cluster.name);
  const paths = nodePaths(context.paths, cluster.name, node);
  await mkdir(paths.clustermeshDirectory, { recursive: true, mode: 0o700 });
  await writeFile(paths.storeConfig, stores.ownConfig(cluster.name, kind), { mode: 0o600 });
  for (const { name } of topology.clusters)
    if (name !== cluster.name) await writePeer(context, cluster.name, node, name);
  return {
    role: `${cluster.name}/${node}/agent`,
    argv: [
      cliMain,
      'agent',
      ...flags({
        'cluster-name': cluster.name,
        'cluster-id': cluster.id,
        'node-name': node,
        store: kind,
        'store-config': paths.storeConfig,
        'clustermesh-config': paths.clustermeshDirectory,
        'state-dir': paths.stateDirectory,
        'api-socket': paths.apiSocket,
        'metrics-address': substrate.metricsAddress,
        'log-level': context.logLevel,
      }),
      ...substrate.agentArguments(cluster.name, node),
    ],
    logFile: paths.agentLog,
    within: substrate.within(cluster.name, node),
  };
}

function flags(values: Readonly<Record<string, string | number>>): string[] {
  return Object.entries(values).flatMap(([name, value]) => [`--${name}`, String(value)]);
}

/** Writes how a node reaches another cluster; the file is replaced as a whole, since an agent may be reading it. */
export async function writePeer(
  { paths, stores }: Pick<LaunchContext, 'paths' | 'stores'>,
  cluster: string,
  node: string,
  peer: string,
): Promise<void> {
  const { clustermeshDirectory, directory } = nodePaths(paths, cluster, node);
  const fresh = `${directory}/peer-${peer}.new`;
  await writeFile(fresh, stores.peerConfig(peer), { mode: 0o600 });
  await rename(fresh, `${clustermeshDirectory}/${peer}`);
}
