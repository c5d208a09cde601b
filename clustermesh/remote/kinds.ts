import { reservedIdentities } from '../../values/identity/index.ts';
import type { AddressRules } from '../acceptance/index.ts';
import type { ClusterContent } from '../remembered/index.ts';
import type { RemoteServiceWriter, RemoteSliceWriter } from '../services/index.ts';
import type { RowObserver } from '../../kvstore/index.ts';
import { type ClusterRecords, type MeshWriter, prefixOfKey } from '../view/index.ts';
import { requireIp, requireNode, requireService, requireSlice } from './accept.ts';
import {
  type ClusterServiceRecord,
  type EndpointSliceRecord,
  type RemoteOrigin,
  type ServiceMode,
  decodeEndpointSlice,
  decodeIdentity,
  decodeIp,
  decodeNode,
  decodeService,
  encodeEndpointSlice,
  encodeIdentity,
  encodeIp,
  encodeNode,
  encodeService,
  identityIdIn,
  nodeKey,
  suffixOfIp,
} from '../wire/index.ts';

/** What is read of a remote cluster, in the order in which it is asked for; the word is the path segment of the key. */
export type RemoteKind = 'nodes' | 'services' | 'endpointslices' | 'ip' | 'identities';
export const remoteKinds: readonly RemoteKind[] = ['nodes', 'services', 'endpointslices', 'ip', 'identities'];

/**
 * What to read of a cluster that advertises `exported`, in our mode (kvstore-schema §16.2). A cluster that exports nothing
 * but slices is read by them, also by who prefers the older form: there is no other.
 */
export function kindsOf(mode: ServiceMode, exported: string | undefined): readonly RemoteKind[] {
  const slices = exported !== undefined && (mode !== 'prefer-legacy' || exported === 'endpointslices-only');
  const legacy = mode === 'prefer-legacy' && !slices;
  return remoteKinds.filter((kind) => (kind !== 'services' || legacy) && (kind !== 'endpointslices' || slices));
}

/** Decodes, checks and takes over records of one kind. `key` is what follows the watched prefix. */
export interface KindSink {
  /** @throws {InvalidRecordError} when the value is refused. */
  upsert(key: string, value: Uint8Array): void;
  remove(key: string): void;
  /** Whether anything of that key was taken over, and is still in use. */
  has(key: string): boolean;
  /** Where there may be a million: values in the ordinary form go here, as bytes, and never come to `upsert`. */
  readonly rows?: RowObserver;
}

/**
 * The readers' rules of kvstore-schema §4.3, §5, §6, §7, for one cluster, and which addresses it may speak of: `addresses`
 * is asked for each record, since that changes.
 */
export function kindSinks(
  origin: RemoteOrigin,
  mesh: MeshWriter,
  services: RemoteServiceWriter,
  slices: RemoteSliceWriter,
  addresses: () => AddressRules,
): Readonly<Record<RemoteKind, KindSink>> {
  const rows = mesh.ipRows({ origin, translate: remoteIdentity, addresses });
  return {
    nodes: {
      upsert: (key, value) => {
        const record = decodeNode(nodeKey(origin.cluster, key), value, origin);
        requireNode(record, addresses());
        mesh.upsertNode(record);
      },
      remove: (key) => mesh.removeNode(key),
      has: (key) => mesh.hasNode(key),
    },
    services: {
      upsert: (key, value) => {
        const record = decodeService(key, value, origin);
        requireService(record, addresses());
        services.upsert(record);
      },
      remove: (key) => services.remove(key),
      has: (key) => services.has(key),
    },
    endpointslices: {
      upsert: (key, value) => {
        const record = decodeEndpointSlice(key, value, origin);
        requireSlice(record, addresses());
        slices.upsert(record);
      },
      remove: (key) => slices.remove(key),
      has: (key) => slices.has(key),
    },
    ip: {
      upsert: (key, value) => {
        const record = decodeIp(key, value, origin);
        requireIp(record, addresses());
        mesh.upsertIp({ ...record, identity: remoteIdentity(record.identity) });
      },
      remove: (key) => {
        const prefix = prefixOfKey(key);
        if (prefix !== undefined) mesh.removeIp(prefix);
      },
      has: (key) => rows.has(key),
      rows,
    },
    identities: {
      upsert: (key, value) => mesh.upsertIdentity(decodeIdentity(key, value, origin)),
      remove: (key) => {
        const id = identityIdIn(key);
        if (id !== undefined) mesh.removeIdentity(id);
      },
      has: (key) => {
        const id = identityIdIn(key);
        return id !== undefined && mesh.hasIdentity(id);
      },
    },
  };
}

/** A host of another cluster is a remote node to us (kvstore-schema §5). */
function remoteIdentity(identity: number): number {
  return identity === reservedIdentities.host ? reservedIdentities.remoteNode : identity;
}

/** The same in the other direction: what a cluster told, as its store would hold it. The least dispensable first. */
export function contentOf(
  said: ClusterRecords,
  services: readonly ClusterServiceRecord[],
  slices: readonly EndpointSliceRecord[],
): ClusterContent['kinds'] {
  const lines = <T>(kind: RemoteKind, all: Iterable<T>, key: (item: T) => string, value: (item: T) => string) => ({
    kind,
    records: (function* () {
      for (const item of all) yield { key: key(item), value: value(item) };
    })(),
  });
  return [
    lines('nodes', said.nodes, ({ name }) => name, encodeNode),
    lines('services', services, ({ namespace, name }) => `${namespace}/${name}`, encodeService),
    // Compressed bytes, as a text of one character a byte.
    lines(
      'endpointslices',
      slices,
      ({ namespace, name }) => `${namespace}/${name}`,
      (slice) => Buffer.from(encodeEndpointSlice(slice)).toString('latin1'),
    ),
    lines('identities', said.identities, ({ id }) => String(id), encodeIdentity),
    lines('ip', said.ips, suffixOfIp, encodeIp),
  ];
}
