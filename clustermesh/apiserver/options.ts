import type { KubernetesSource } from '../../kubernetes/index.ts';
import type { Store } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import type { Metrics } from '../../runtime/metrics/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import { isClusterName } from '../wire/index.ts';

export interface ApiserverOptions {
  readonly clusterName: string;
  /** 1–255, or 1–511. */
  readonly clusterId: number;
  readonly maxConnectedClusters?: MaxConnectedClusters;
  readonly store: Store;
  readonly source: KubernetesSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: Metrics;
  /** Everything written here goes this long after the apiserver's last sign of life. Default 15 min, as in Cilium. */
  readonly leaseTtlSeconds?: number;
  /** A ready node whose agent says nothing this long no longer holds back the canaries of nodes and addresses. Default 5 min. */
  readonly silentNodeMs?: number;
  /**
   * New identities are given when the agents of all ready nodes have said which ones they use, and at the latest after
   * this: a store that was lost must not make an old number mean something else. Default 30 s.
   */
  readonly identityOpeningMs?: number;
  /** How long an unused identity is kept. Default 10 min. */
  readonly identityGraceMs?: number;
  /** Which forms of shared services are exported. Default `prefer-legacy`. */
  readonly serviceV2?: ServiceV2Mode;
  /** Whether service exports (MCS-API) are published; the source must follow them. Default false. */
  readonly serviceExports?: boolean;
  /** Whether a namespace without the annotation `clustermesh.cilium.io/global` is exported. Default true. */
  readonly defaultGlobalNamespace?: boolean;
  /** Patterns of labels that make an identity, in the form of Cilium's `--labels`; added to the defaults. */
  readonly identityLabels?: readonly string[];
}

/**
 * Cilium's `--clustermesh-service-v2` (kvstore-schema §16.2). For an exporter the first two are the same: both ClusterService
 * and EndpointSlice records.
 */
export type ServiceV2Mode = (typeof serviceV2Modes)[number];
export const serviceV2Modes = ['prefer-legacy', 'prefer-endpointslice', 'only-endpointslice'] as const;

/** @throws {RangeError} for what Cilium refuses too (clustermesh-behaviour §11). */
export function checkApiserverOptions(options: ApiserverOptions): void {
  const { clusterName, clusterId, maxConnectedClusters = 255 } = options;
  if (!isClusterName(clusterName))
    throw new RangeError(
      `Cluster name must be 1 to 32 lower-case letters, digits and dashes, found ${JSON.stringify(clusterName)}`,
    );
  if (clusterName === 'default') throw new RangeError('Cluster name must not be "default" in a mesh');
  if (!Number.isInteger(clusterId) || clusterId < 1 || clusterId > maxConnectedClusters)
    throw new RangeError(`Cluster id must be from 1 to ${maxConnectedClusters}, found ${clusterId}`);
  if (options.serviceExports && !options.source.kinds.includes('ServiceExport'))
    throw new RangeError(`Service exports cannot be published: the source ${options.source.description} has none`);
}
