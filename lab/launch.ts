import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { ChildOptions } from './processes/index.ts';
import { type LabPaths, apiserverPaths, nodePaths } from './state/index.ts';
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
  readonly logLevel: string;
}

/** Writes what a cluster's apiserver needs and says how it is started. */
export async function apiserverLaunch(context: LaunchContext, cluster: LabCluster): Promise<ChildOptions> {
  const paths = apiserverPaths(context.paths, cluster.name);
  await mkdir(paths.dataDirectory, { recursive: true, mode: 0o700 });
  const { host, port } = context.substrate.storeAddress(cluster.name);
  return {
    role: `${cluster.name}/apiserver`,
    argv: [
      cliMain,
      'apiserver',
      '--insecure',
      ...flags({
        'cluster-name': cluster.name,
        'cluster-id': cluster.id,
        'data-dir': paths.dataDirectory,
        listen: `${host}:${port}`,
        source: `stream:${paths.sourceSocket}`,
        'api-socket': paths.apiSocket,
        'log-level': context.logLevel,
      }),
    ],
    logFile: paths.logFile,
    within: context.substrate.within(cluster.name, 'apiserver'),
  };
}

/** Writes a node's store configuration and one file for each remote cluster, and says how its agent is started. */
export async function agentLaunch(context: LaunchContext, cluster: LabCluster, node: string): Promise<ChildOptions> {
  const { substrate, topology } = context;
  const paths = nodePaths(context.paths, cluster.name, node);
  await mkdir(paths.clustermeshDirectory, { recursive: true, mode: 0o700 });
  await writeFile(paths.storeConfig, storeConfig(substrate, cluster.name), { mode: 0o600 });
  for (const { name } of topology.clusters) {
    if (name !== cluster.name)
      await writeFile(`${paths.clustermeshDirectory}/${name}`, storeConfig(substrate, name), { mode: 0o600 });
  }
  return {
    role: `${cluster.name}/${node}/agent`,
    argv: [
      cliMain,
      'agent',
      ...flags({
        'cluster-name': cluster.name,
        'cluster-id': cluster.id,
        'node-name': node,
        'store-config': paths.storeConfig,
        'clustermesh-config': paths.clustermeshDirectory,
        'state-dir': paths.stateDirectory,
        'api-socket': paths.apiSocket,
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

/** An etcd client configuration, as Cilium mounts it. */
function storeConfig(substrate: LabSubstrate, cluster: string): string {
  const { host, port } = substrate.storeAddress(cluster);
  return `endpoints:\n- http://${host}:${port}\n`;
}
