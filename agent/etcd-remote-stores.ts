import { readFile } from 'node:fs/promises';
import type { Clock } from '../runtime/clock/index.ts';
import { type Logger, fields } from '../runtime/log/index.ts';
import { certificatesOf, factsOf } from '../runtime/tls/index.ts';
import type { PeerConfig, RemoteCertificate } from '../clustermesh/index.ts';
import {
  type EtcdTuning,
  type Store,
  type StoreMetrics,
  measureStore,
  openEtcdStore,
  parseEtcdConfig,
  warnIfUnverified,
} from '../kvstore/index.ts';

/** Opens remote stores as their configurations say: remote clusters are always read over the etcd API. */
export function etcdRemoteStores(deps: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: StoreMetrics;
  /** How each of them is used; without limits unless told. */
  readonly tuning?: EtcdTuning;
}): (config: PeerConfig) => Store {
  /** By cluster: each connection opens it anew. */
  const told = new Map<string, string>();
  return (config) => {
    const log = deps.log.child({ [fields.cluster]: config.cluster });
    const target = parseEtcdConfig(config.text, config.path);
    if (told.get(config.cluster) !== config.hash) warnIfUnverified(config.path, target.tls, log);
    told.set(config.cluster, config.hash);
    const store = openEtcdStore({ ...target, ...deps.tuning, clock: deps.clock, log });
    return deps.metrics ? measureStore(store, deps.clock, deps.metrics) : store;
  };
}

/** The certificate that a configuration names for us, as it lies on the disk now. @throws what keeps it from being read */
export async function remoteCertificate(config: PeerConfig): Promise<RemoteCertificate | undefined> {
  const file = parseEtcdConfig(config.text, config.path).tls?.certFile;
  const certificate = file === undefined ? undefined : certificatesOf(await readFile(file))[0];
  if (file === undefined || !certificate) return undefined;
  const { subject, fingerprint, notAfterMs } = factsOf(certificate);
  return { subject, fingerprint, 'not-after': new Date(notAfterMs).toISOString(), file };
}
