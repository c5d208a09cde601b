import { identityRange } from '../../values/identity/index.ts';
import { formatLabels, parseLabels } from '../../values/labels/index.ts';
import { InvalidRecordError } from './invalid-record.ts';
import { identityKey } from './keys.ts';
import { type Encoded, textOf } from './object-reader.ts';
import type { IdentityRecord } from './records.ts';
import type { RemoteOrigin } from './remote-origin.ts';

/** Label that says which cluster an identity belongs to; mandatory in a mesh. */
export const clusterLabel = 'io.cilium.k8s.policy.cluster';

/**
 * Sources of labels that say what something is, rather than how somebody has labelled it. Identities with such labels are reserved numbers, or are
 * made by each node for itself, and never stand in a store (kvstore-schema §4.5, §4.6). A policy that allows the host, the world or
 * a block of addresses selects by them.
 */
const specialSources: ReadonlySet<string> = new Set(['reserved', 'cidr', 'cidrgroup', 'fqdn', 'node']);

export function keyOfIdentity(record: Pick<IdentityRecord, 'id'>): string {
  return identityKey(record.id);
}

/** `cilium/state/identities/v1/id/<n>` (kvstore-schema §4.1): sorted labels, each with its `;`. */
export function encodeIdentity(record: Pick<IdentityRecord, 'labels'>): string {
  return formatLabels(record.labels);
}

/**
 * The number that a key's last segment spells; undefined for none of 32 bits. One number has one key, written without leading zeros, as by Cilium and by us:
 * Cilium's reader (`strconv.ParseUint`) would take `0131073` for 131073, and then the end of either key for the end of both.
 */
export function identityIdIn(suffix: string): number | undefined {
  const id = /^(0|[1-9]\d{0,9})$/.test(suffix) ? Number(suffix) : Number.NaN;
  return id < 2 ** 32 ? id : undefined;
}

/** The id in a key's last segment. @throws {InvalidRecordError} outside the range of `origin`, when it is given. */
export function decodeIdentityId(suffix: string, origin?: RemoteOrigin): number {
  const id = identityIdIn(suffix);
  const key = `${identityKey(0).slice(0, -1)}${suffix}`;
  if (id === undefined)
    throw new InvalidRecordError(key, 'id', 'a decimal number of at most 32 bits without leading zeros', suffix);
  if (origin) {
    const { min, max } = identityRange(origin.clusterId, origin.maxConnectedClusters);
    if (id < min || id > max)
      throw new InvalidRecordError(key, 'id', `from ${min} to ${max}, the range of cluster ${origin.clusterId}`, id, {
        fault: 'foreign-identity',
      });
  }
  return id;
}

/**
 * @param suffix the key's last segment, the id.
 * @param origin the cluster that the identity must belong to (kvstore-schema §4.3); without it only the form is checked.
 * @throws {InvalidRecordError}
 */
export function decodeIdentity(suffix: string, value: Encoded, origin?: RemoteOrigin): IdentityRecord {
  const id = decodeIdentityId(suffix, origin);
  const labels = parseLabels(textOf(value));
  if (labels.length === 0) throw new InvalidRecordError(identityKey(id), '', 'a list of labels', textOf(value));
  if (origin) {
    const special = labels.find(({ source }) => specialSources.has(source));
    if (special)
      throw new InvalidRecordError(
        identityKey(id),
        `${special.source}:${special.key}`,
        `no label of source ${[...specialSources].join(', ')}`,
        special.value,
        { fault: 'special-identity' },
      );
    const clusters = labels.filter((label) => label.key === clusterLabel);
    if (clusters.length === 0 || clusters.some((label) => label.source !== 'k8s' || label.value !== origin.cluster))
      throw new InvalidRecordError(
        identityKey(id),
        clusterLabel,
        `the label k8s:${clusterLabel}=${origin.cluster}`,
        clusters.map((label) => `${label.source}:${label.key}=${label.value}`).join(' ') || undefined,
        { fault: 'foreign-identity' },
      );
  }
  return { id, labels };
}
