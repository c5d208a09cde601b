import { reservedIdentities } from '../../values/identity/index.ts';
import type { ClusterContent } from '../remembered/index.ts';
import type { RemoteServiceWriter } from '../services/index.ts';
import type { RowObserver } from '../../kvstore/index.ts';
import { type ClusterRecords, type MeshWriter, prefixOfKey } from '../view/index.ts';
import {
  type ClusterServiceRecord,
  type RemoteOrigin,
  decodeIdentity,
  decodeIp,
  decodeNode,
  decodeService,
  encodeIdentity,
  encodeIp,
  encodeNode,
  encodeService,
  nodeKey,
  suffixOfIp,
} from '../wire/index.ts';

/** What is read of a remote cluster, in the order in which it is asked for; the word is the path segment of the key. */
export type RemoteKind = 'nodes' | 'services' | 'ip' | 'identities';
export const remoteKinds: readonly RemoteKind[] = ['nodes', 'services', 'ip', 'identities'];

/** Decodes, checks and takes over records of one kind. `key` is what follows the watched prefix. */
export interface KindSink {
  /** @throws {InvalidRecordError} when the value is refused. */
  upsert(key: string, value: Uint8Array): void;
  remove(key: string): void;
  /** Where there may be a million: values in the ordinary form go here, as bytes, and never come to `upsert`. */
  readonly rows?: RowObserver;
}

/** The readers' rules of kvstore-schema §4.3, §5, §6, §7, for one cluster. */
export function kindSinks(
  origin: RemoteOrigin,
  mesh: MeshWriter,
  services: RemoteServiceWriter,
): Readonly<Record<RemoteKind, KindSink>> {
  return {
    nodes: {
      upsert: (key, value) => mesh.upsertNode(decodeNode(nodeKey(origin.cluster, key), value, origin)),
      remove: (key) => mesh.removeNode(key),
    },
    services: {
      upsert: (key, value) => services.upsert(decodeService(key, value, origin)),
      remove: (key) => services.remove(key),
    },
    ip: {
      upsert: (key, value) => {
        const record = decodeIp(key, value, origin);
        mesh.upsertIp({ ...record, identity: remoteIdentity(record.identity) });
      },
      remove: (key) => {
        const prefix = prefixOfKey(key);
        if (prefix !== undefined) mesh.removeIp(prefix);
      },
      rows: mesh.ipRows(origin, remoteIdentity),
    },
    identities: {
      upsert: (key, value) => mesh.upsertIdentity(decodeIdentity(key, value, origin)),
      remove: (key) => {
        if (/^\d+$/.test(key)) mesh.removeIdentity(Number(key));
      },
    },
  };
}

/** A host of another cluster is a remote node to us (kvstore-schema §5). */
function remoteIdentity(identity: number): number {
  return identity === reservedIdentities.host ? reservedIdentities.remoteNode : identity;
}

/** The same in the other direction: what a cluster told, as its store would hold it. The least dispensable first. */
export function contentOf(said: ClusterRecords, services: readonly ClusterServiceRecord[]): ClusterContent['kinds'] {
  const lines = <T>(kind: RemoteKind, all: Iterable<T>, key: (item: T) => string, value: (item: T) => string) => ({
    kind,
    records: (function* () {
      for (const item of all) yield { key: key(item), value: value(item) };
    })(),
  });
  return [
    lines('nodes', said.nodes, ({ name }) => name, encodeNode),
    lines('services', services, ({ namespace, name }) => `${namespace}/${name}`, encodeService),
    lines('identities', said.identities, ({ id }) => String(id), encodeIdentity),
    lines('ip', said.ips, suffixOfIp, encodeIp),
  ];
}
