import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ChildOptions } from '../processes/index.ts';
import { type LabPaths, apiserverPaths } from '../state/index.ts';
import type { LabSubstrate } from '../substrate/index.ts';
import type { ClusterStores, LabStoreKind } from './cluster-stores.ts';
import { findStoreBinary } from './find-binary.ts';

const wrapper = fileURLToPath(
  new URL(`./run-server${import.meta.url.endsWith('.js') ? '.js' : '.ts'}`, import.meta.url),
);

export interface StoreServerDependencies {
  readonly stores: ClusterStores;
  readonly paths: LabPaths;
  readonly substrate: Pick<LabSubstrate, 'within'>;
}

/** Role of the process that serves a store beside the apiserver. */
export function serverRole(cluster: string, kind: LabStoreKind): string {
  return `${cluster}/${kind}`;
}

/**
 * Writes how a store is reached, and says how its server is started, on an empty directory, beside the apiserver. An
 * embedded store has no server of its own. @throws {StoreBinaryError}
 */
export async function startStoreServer(
  cluster: string,
  kind: LabStoreKind,
  { stores, paths, substrate }: StoreServerDependencies,
): Promise<ChildOptions | undefined> {
  const binary = kind === 'embedded' ? undefined : findStoreBinary(kind);
  const { directory } = apiserverPaths(paths, cluster);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const data = stores.dataDirectory(cluster, kind);
  await rm(data, { recursive: true, force: true });
  await writeFile(stores.configFile(cluster, kind), stores.ownConfig(cluster, kind), { mode: 0o600 });
  if (kind === 'embedded' || binary === undefined) return undefined;
  await mkdir(data, { recursive: true, mode: 0o700 });
  const { host, port } = stores.address(cluster, kind);
  return {
    role: serverRole(cluster, kind),
    argv: [wrapper, binary, ...(kind === 'etcd' ? etcdFlags : consulFlags)(host, port, data)],
    logFile: join(directory, `${kind}.log`),
    within: substrate.within(cluster, 'apiserver'),
  };
}

function etcdFlags(host: string, port: number, data: string): string[] {
  return [
    '--name=lab',
    `--data-dir=${data}`,
    '--log-level=warn',
    '--heartbeat-interval=10',
    '--election-timeout=100',
    `--listen-client-urls=http://${host}:${port}`,
    `--advertise-client-urls=http://${host}:${port}`,
    `--listen-peer-urls=http://${host}:${port + 1}`,
    `--initial-advertise-peer-urls=http://${host}:${port + 1}`,
    `--initial-cluster=lab=http://${host}:${port + 1}`,
  ];
}

function consulFlags(host: string, port: number, data: string): string[] {
  return [
    'agent',
    '-server',
    '-bootstrap-expect=1',
    `-data-dir=${data}`,
    '-node=lab',
    '-log-level=warn',
    `-bind=${host}`,
    `-client=${host}`,
    `-http-port=${port}`,
    `-server-port=${port + 1}`,
    `-serf-lan-port=${port + 2}`,
    ...['serf-wan', 'dns', 'grpc', 'grpc-tls', 'https'].map((other) => `-${other}-port=-1`),
    '-hcl=performance { raft_multiplier = 1 } connect { enabled = true }',
    '-hcl=disable_update_check = true',
  ];
}
