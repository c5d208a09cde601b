import type { RowObserver } from '../../kvstore/index.ts';
import { hostPrefix } from '../../values/ip/index.ts';
import {
  type LocalServiceWriter,
  type MeshWriter,
  type NodeAssignmentRecord,
  type OwnSpace,
  type RemoteOrigin,
  type WorkloadRecord,
  decodeIdentity,
  identityIdIn,
  decodeIp,
  decodeLocalEndpoints,
  decodeLocalService,
  decodeNode,
  decodeNodeAssignment,
  decodeWorkload,
  hiddenIdentityPrefix,
  hiddenIpPrefix,
  nodeAssignmentKey,
  nodeKey,
  ownKindPrefix,
  ownSyncedKey,
  prefixOfKey,
  syncedKey,
  watchPrefix,
  workloadsPrefix,
} from '../../clustermesh/index.ts';

export type LocalKind = 'nodes' | 'ip' | 'identities' | 'services' | 'endpoints' | 'assignment' | 'workloads';

/** One prefix of the own cluster's store, who takes its records, and the key that says that it is complete. */
export interface LocalFeed {
  readonly kind: LocalKind;
  readonly prefix: string;
  readonly mark: string;
  /** @throws {InvalidRecordError} when the value is refused. */
  upsert(key: string, value: Uint8Array, revision: number): void;
  remove(key: string): void;
  /** The prefix is listed from its beginning. */
  restart?(): void;
  /** Where there may be a million: values in the ordinary form go here, as bytes. */
  readonly rows?: RowObserver;
}

export interface LocalSinks {
  readonly mesh: MeshWriter;
  /** The same for what other clusters do not see: a fact that moves between the two is withdrawn by one of them only. */
  readonly hidden: MeshWriter;
  readonly services: LocalServiceWriter;
  /** Learns which addresses are ours. */
  readonly ownSpace: Pick<OwnSpace, 'set' | 'remove'>;
  /** Learns what the store says of identities, under each of their prefixes. */
  readonly numbers: {
    listed(prefix: string): void;
    learnt(prefix: string, name: string, value: Uint8Array, revision: number): void;
    removed(prefix: string, name: string): void;
  };
  /** The pod CIDRs and labels of this node; undefined when they were withdrawn. */
  readonly assignment: (record: NodeAssignmentRecord | undefined) => void;
  /** A pod that the cluster placed on this node, by `<namespace>/<name>`. */
  readonly workload: (key: string, record: WorkloadRecord | undefined) => void;
}

/** What an agent reads of its own cluster. */
export function localFeeds(origin: RemoteOrigin, node: string, sinks: LocalSinks): readonly LocalFeed[] {
  const { cluster } = origin;
  const { mesh, hidden, services, ownSpace } = sinks;
  return [
    {
      kind: 'nodes',
      prefix: watchPrefix('nodes', cluster),
      mark: syncedKey(cluster, 'nodes'),
      upsert: (key, value) => {
        const node = decodeNode(nodeKey(cluster, key), value, origin);
        mesh.upsertNode(node);
        ownSpace.set(`node/${key}`, { blocks: node.podCidrs, hosts: node.addresses.map(({ ip }) => ip) });
      },
      remove: (key) => {
        mesh.removeNode(key);
        ownSpace.remove(`node/${key}`);
      },
    },
    {
      kind: 'assignment',
      prefix: nodeAssignmentKey(node),
      mark: ownSyncedKey('nodes'),
      // The prefix is also that of nodes whose names begin with ours.
      upsert: (key, value) => {
        if (key === '') sinks.assignment(decodeNodeAssignment(node, value));
      },
      remove: (key) => {
        if (key === '') sinks.assignment(undefined);
      },
    },
    {
      kind: 'workloads',
      prefix: workloadsPrefix(node),
      mark: ownSyncedKey('workloads'),
      upsert: (key, value) => sinks.workload(key, decodeWorkload(`${node}/${key}`, value)),
      remove: (key) => sinks.workload(key, undefined),
    },
    ...(
      [
        [watchPrefix('identities', cluster), mesh],
        [hiddenIdentityPrefix, hidden],
      ] as const
    ).map(([prefix, writer]) => ({
      kind: 'identities' as const,
      prefix,
      mark: syncedKey(cluster, 'identities'),
      restart: () => sinks.numbers.listed(prefix),
      upsert: (key: string, value: Uint8Array, revision: number) => {
        writer.upsertIdentity(decodeIdentity(key, value, origin));
        sinks.numbers.learnt(prefix, key, value, revision);
      },
      remove: (key: string) => {
        sinks.numbers.removed(prefix, key);
        const id = identityIdIn(key);
        if (id !== undefined) writer.removeIdentity(id);
      },
    })),
    ...(
      [
        [watchPrefix('ip', cluster), mesh],
        [hiddenIpPrefix, hidden],
      ] as const
    ).map(([prefix, writer]) => ({
      kind: 'ip' as const,
      prefix,
      mark: syncedKey(cluster, 'ip'),
      upsert: (key: string, value: Uint8Array) => writer.upsertIp(decodeIp(key, value, origin)),
      remove: (key: string) => {
        const address = prefixOfKey(key);
        if (address !== undefined) writer.removeIp(address);
      },
      rows: writer.ipRows({ origin }),
    })),
    {
      kind: 'services',
      prefix: ownKindPrefix('services'),
      mark: ownSyncedKey('services'),
      upsert: (key, value) => {
        const service = decodeLocalService(key, value);
        services.upsertService(service);
        ownSpace.set(`service/${key}`, { blocks: service.clusterIps.map(hostPrefix) });
      },
      remove: (key) => {
        services.removeService(key);
        ownSpace.remove(`service/${key}`);
      },
    },
    {
      kind: 'endpoints',
      prefix: ownKindPrefix('endpoints'),
      mark: ownSyncedKey('endpoints'),
      upsert: (key, value) => services.upsertEndpoints(decodeLocalEndpoints(key, value)),
      remove: (key) => services.removeEndpoints(key),
    },
  ];
}
