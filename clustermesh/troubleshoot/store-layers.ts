import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { secureContextOf, type TlsMaterial } from '../../runtime/tls/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import { PermissionDeniedError, type Store, toText } from '../../kvstore/index.ts';
import { type PeerPolicy, checkPeerId } from '../peers/index.ts';
import { heartbeatLimitMs } from '../remote/index.ts';
import {
  type ClusterConfigRecord,
  type Resource,
  checkClusterConfig,
  clusterConfigKey,
  decodeClusterConfig,
  decodeTime,
  heartbeatKey,
  syncedName,
  syncedPrefix,
} from '../wire/index.ts';
import { type EndpointTarget, hostPort } from './endpoint.ts';
import { BrokenLayer, type Finding, reasonOf } from './finding.ts';

/** A version is two numbers in JSON: whoever answers more is no store. */
const maxVersionBytes = 64 * 1024;

export type ReadStore = Pick<Store, 'get' | 'list'>;

export interface StoreLayerOptions {
  readonly cluster: string;
  /** The common name of our certificate, or a user's name: who we are to the store. */
  readonly user: string | undefined;
  readonly own: { readonly clusterId: number; readonly maxConnectedClusters?: MaxConnectedClusters } | undefined;
  readonly policy?: PeerPolicy;
  readonly nowMs: number;
  readonly signal: AbortSignal;
}

/** What the store keeps as heartbeat, which every user of the mesh may read. @throws {BrokenLayer} {@link Error} for what is no question of rights */
export async function readHeartbeat(
  store: ReadStore,
  { user, cluster, signal }: StoreLayerOptions,
): Promise<{ readonly finding: Finding; readonly value: string | undefined }> {
  try {
    const entry = await store.get(heartbeatKey, { signal });
    const detail = user === undefined ? 'the store asks for no user' : `the store knows us as ${user}`;
    return { finding: { layer: 'auth', state: 'ok', detail }, value: entry && toText(entry.value) };
  } catch (error) {
    if (!(error instanceof PermissionDeniedError)) throw error;
    throw new BrokenLayer({
      layer: 'auth',
      detail: `the store does not let ${user ?? 'us, who show no certificate,'} read ${heartbeatKey}: ${error.message}`,
      next: `isthmus peer show ${cluster}`,
    });
  }
}

/** `GET /version`, as etcd and `cilium-dbg troubleshoot` speak it. @throws {BrokenLayer} */
export async function readVersion(
  target: EndpointTarget,
  material: TlsMaterial,
  signal: AbortSignal,
): Promise<Finding> {
  try {
    const { status, body } = await get(target, material, signal);
    const parsed: unknown = status === 200 && body.startsWith('{') ? JSON.parse(body) : undefined;
    if (typeof parsed !== 'object' || parsed === null || !('etcdserver' in parsed))
      throw new Error(`status ${status}, ${JSON.stringify(body.slice(0, 80))}`);
    const detail = `speaks as etcd ${String(parsed.etcdserver)}`;
    return { layer: 'version', state: 'ok', endpoint: target.url, detail, facts: { ...parsed } };
  } catch (error) {
    const why = signal.aborted ? 'no answer in time' : reasonOf(error);
    throw new BrokenLayer({
      layer: 'version',
      endpoint: target.url,
      detail: `what listens there does not speak as etcd: ${why}`,
      next: `curl -sv ${curlFiles(material)}${curlTarget(target, material)}/version`,
    });
  }
}

/** @throws {BrokenLayer} */
export async function readConfig(
  store: ReadStore,
  { cluster, own, policy = {}, signal }: StoreLayerOptions,
): Promise<{ readonly finding: Finding; readonly config: ClusterConfigRecord }> {
  const layer = 'cluster-config';
  const key = clusterConfigKey(cluster);
  const next = `isthmus status  # in cluster ${cluster}: which name it gives itself, and whether its apiserver runs`;
  const broken = (detail: string): BrokenLayer => new BrokenLayer({ layer, detail, next });
  const entry = await store.get(key, { signal }).catch((error: unknown) => {
    if (error instanceof PermissionDeniedError)
      throw broken(`${key} may not be read: is ${cluster} the name that this cluster gives itself?`);
    throw broken(`${key} cannot be read: ${reasonOf(error)}`);
  });
  if (!entry)
    throw broken(`the store has no ${key}: the file name must be the cluster's name, and its apiserver must run`);
  try {
    const config = decodeClusterConfig(key, entry.value);
    const id = own?.clusterId ?? 0;
    checkClusterConfig(cluster, config, {
      clusterId: id,
      maxConnectedClusters: own?.maxConnectedClusters ?? (config.maxConnectedClusters === 511 ? 511 : 255),
    });
    checkPeerId(policy, config);
    const detail = `id ${config.id}, ${config.cached ? 'a copy by kvstoremesh' : 'its own store'}, ${config.syncedCanaries ? 'with' : 'without'} canaries`;
    return { finding: { layer, state: 'ok', detail, facts: { ...config } }, config };
  } catch (error) {
    throw broken(reasonOf(error));
  }
}

/** @throws {BrokenLayer} */
export async function readCanaries(
  store: ReadStore,
  config: ClusterConfigRecord,
  { cluster, signal }: StoreLayerOptions,
): Promise<Finding> {
  const layer = 'canaries';
  if (!config.syncedCanaries)
    return { layer, state: 'ok', detail: 'none are written: what is listed counts as complete' };
  const next = `isthmus status  # in cluster ${cluster}: what its apiserver waits for`;
  const prefix = syncedPrefix(cluster);
  const found = new Set<string>();
  try {
    for await (const page of store.list(prefix, { signal }))
      for (const { key } of page.entries) found.add(toText(key).slice(prefix.length));
  } catch (error) {
    throw new BrokenLayer({ layer, detail: `${prefix} cannot be read: ${reasonOf(error)}`, next });
  }
  const wanted: Resource[] = ['nodes', 'services', 'ip', 'identities'];
  const missing = wanted.filter((resource) => !found.has(syncedName(resource, config.cached ? 'cache' : 'state')));
  if (missing.length > 0)
    throw new BrokenLayer({ layer, detail: `the cluster has not written all of its ${missing.join(', ')} yet`, next });
  return { layer, state: 'ok', detail: `${found.size} sets are complete`, facts: { canaries: [...found].toSorted() } };
}

/** @throws {BrokenLayer} */
export function judgeHeartbeat(value: string | undefined, { cluster, nowMs }: StoreLayerOptions): Finding {
  const layer = 'heartbeat';
  const next = `isthmus status  # in cluster ${cluster}: whether its apiserver runs`;
  if (value === undefined)
    throw new BrokenLayer({
      layer,
      detail: 'there is none: the apiserver writes its first one up to a minute after it has started, or it is gone',
      next,
    });
  const writtenMs = decodeTime(value);
  if (writtenMs === undefined)
    return { layer, state: 'warning', detail: `its value is no time: ${JSON.stringify(value.slice(0, 40))}` };
  const ageMs = nowMs - writtenMs;
  const facts = { 'age-seconds': Math.round(ageMs / 1000) };
  if (ageMs > heartbeatLimitMs)
    throw new BrokenLayer({ layer, detail: `silent for ${Math.round(ageMs / 1000)} s`, facts, next });
  if (ageMs < -heartbeatLimitMs / 2)
    return { layer, state: 'warning', detail: `${Math.round(-ageMs / 1000)} s in our future: clocks differ`, facts };
  return { layer, state: 'ok', detail: `${Math.max(0, Math.round(ageMs / 1000))} s ago`, facts };
}

function get(
  { secure, host, port }: EndpointTarget,
  material: TlsMaterial,
  signal: AbortSignal,
): Promise<{ readonly status: number; readonly body: string }> {
  const options = { host, port, path: '/version', signal, agent: false as const };
  const { insecureSkipVerify = false, serverName } = material.files;
  const tls = { ...secureContextOf(material), rejectUnauthorized: !insecureSkipVerify };
  return new Promise((resolve, reject) => {
    const request = secure
      ? httpsRequest({ ...options, ...tls, ...(serverName === undefined ? {} : { servername: serverName }) })
      : httpRequest(options);
    request.once('error', reject);
    request.once('response', (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxVersionBytes) response.destroy(new Error(`the answer has more than ${maxVersionBytes} bytes`));
        else chunks.push(chunk);
      });
      response.once('error', reject);
      response.once('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
    });
    request.end();
  });
}

/** Dials the endpoint under the name that its certificate has to have. */
function curlTarget(target: EndpointTarget, { files: { serverName } }: TlsMaterial): string {
  if (!target.secure || serverName === undefined) return target.url;
  return `--connect-to ::${hostPort(target)} https://${serverName}:${target.port}`;
}

function curlFiles({ files: { trustedCaFile, certFile, keyFile } }: TlsMaterial): string {
  const options = [
    ['--cacert', trustedCaFile],
    ['--cert', certFile],
    ['--key', keyFile],
  ] as const;
  return options.flatMap(([option, file]) => (file === undefined ? [] : [`${option} ${file} `])).join('');
}
