import { isDeepStrictEqual } from 'node:util';
import { type Document, isPair, isScalar, parseAllDocuments, visit } from 'yaml';
import { DocumentReader, PeerDocumentError } from './document.ts';
import type { PeerRecord } from './peer-record.ts';

/**
 * A peer as a file declares it, for Git: nothing in it is secret. With `authorities` the two clusters know each other by
 * their authorities alone; without, it changes a peer that was invited, or follows a Cilium cluster.
 */
export interface PeerObject {
  readonly name: string;
  readonly id: number | undefined;
  readonly endpoints: readonly string[] | undefined;
  readonly serverName: string | undefined;
  readonly allowedCidrs: readonly string[] | undefined;
  readonly authorities: string | undefined;
}

export const peerApiVersion = 'isthmus.io/v1';

/** Reads YAML documents of kind `Peer`. @throws {PeerDocumentError} naming document and field */
export function parsePeerObjects(text: string, file: string): readonly PeerObject[] {
  const parsed = parseAllDocuments(text);
  const documents = Array.isArray(parsed) ? parsed : [];
  const objects = documents.flatMap((one, i) => {
    const place = documents.length > 1 ? `${file}, document ${i + 1}` : file;
    if (one.errors.length > 0)
      throw new PeerDocumentError(place, '', `YAML (${one.errors[0]?.message.split('\n')[0]})`);
    refuseAliases(one, place);
    const value = one.toJS({ maxAliasCount: 0 }) as unknown;
    return value === null ? [] : [peerObjectOf(new DocumentReader(place, value), place)];
  });
  const twice = objects.find(({ name }, i) => objects.findIndex((one) => one.name === name) !== i);
  if (twice) throw new PeerDocumentError(file, 'metadata.name', `each peer once, and ${twice.name} stands there twice`);
  return objects;
}

/** Aliases can make a small file a huge object, and what a peer may do is to stand where it is read. */
function refuseAliases(document: Document, place: string): void {
  visit(document, {
    Alias: (key, _alias, path) => {
      const members = path.flatMap((node) => (isPair(node) && isScalar(node.key) ? [String(node.key.value)] : []));
      const field = `${members.join('.')}${typeof key === 'number' ? `[${key}]` : ''}`;
      throw new PeerDocumentError(
        place,
        field,
        'a value that is written out, not an alias (a text that begins with * is to be quoted)',
      );
    },
  });
}

function peerObjectOf(reader: DocumentReader, place: string): PeerObject {
  reader.exactly('apiVersion', peerApiVersion);
  reader.exactly('kind', 'Peer');
  const metadata = reader.object('metadata');
  const spec = reader.optionalObject('spec') ?? new DocumentReader(place, {}, 'spec');
  // Without the member every address is allowed: that is said by leaving it out.
  if (spec.isNull('allowedCIDRs'))
    throw spec.error('allowedCIDRs', 'a list of blocks, as [10.2.0.0/16]; [] allows none');
  const object = {
    name: metadata.clusterName('name'),
    id: spec.has('id') ? spec.whole('id', 1, 511) : undefined,
    endpoints: spec.has('endpoints') ? spec.endpoints('endpoints') : undefined,
    serverName: spec.optionalText('serverName'),
    allowedCidrs: spec.has('allowedCIDRs') ? spec.blocks('allowedCIDRs') : undefined,
    authorities: spec.has('authorities') ? spec.authorities('authorities') : undefined,
  };
  if (object.authorities !== undefined && (object.id === undefined || object.endpoints === undefined))
    throw spec.error(object.id === undefined ? 'id' : 'endpoints', 'one beside authorities');
  for (const one of [metadata, spec, reader]) one.done();
  return object;
}

/** The record that an object makes of what there was. @throws {PeerDocumentError} where it says too little */
export function declaredPeer(
  object: PeerObject,
  before: PeerRecord | undefined,
  nowMs: number,
  file: string,
): PeerRecord {
  const { name, id, endpoints, serverName, allowedCidrs, authorities } = object;
  if (authorities === undefined) {
    if (!before)
      throw new PeerDocumentError(
        file,
        `${name}: spec.authorities`,
        `the certificates of its authorities (PEM), since ${name} is no peer yet; isthmus peer invite makes one of it without`,
      );
    if (id !== undefined && before.id !== 0 && id !== before.id)
      throw new PeerDocumentError(
        file,
        `${name}: spec.id`,
        `${before.id}: a cluster that changes its id leaves and joins again`,
      );
    const isTold = before.kind === 'isthmus';
    if (isTold && endpoints !== undefined && !isDeepStrictEqual(endpoints, before.endpoints))
      throw new PeerDocumentError(
        file,
        `${name}: spec.endpoints`,
        `none, since ${name} tells itself how it is reached (${before.endpoints.join(', ')})`,
      );
    return {
      ...before,
      id: id ?? before.id,
      endpoints: endpoints ?? before.endpoints,
      serverName: serverName ?? before.serverName,
      allowedCidrs,
    };
  }
  if (before && before.kind !== 'declared')
    throw new PeerDocumentError(
      file,
      `${name}: spec.authorities`,
      `none, since ${name} is a peer by certificates that were exchanged; isthmus peer leave ${name} ends that`,
    );
  return {
    name,
    id: id ?? 0,
    kind: 'declared',
    endpoints: endpoints ?? [],
    serverName,
    enrolment: undefined,
    allowedCidrs,
    maxConnectedClusters: undefined,
    authorities,
    admitted: [],
    trusts: [],
    sinceMs: before?.sinceMs ?? nowMs,
    seenMs: undefined,
    invitation: undefined,
  };
}
