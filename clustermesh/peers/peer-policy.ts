import { parse } from 'yaml';
import { type Prefix, parsePrefix } from '../../values/ip/index.ts';
import type { PeerConfig } from './peer-config.ts';

/** What we allow a peer, whatever it says of itself. */
export interface PeerPolicy {
  /** Blocks in which its pods, pod CIDRs and backends must lie; undefined: anywhere that is not ours. */
  readonly allowedCidrs?: readonly Prefix[];
  /** The id under which it was let in; undefined: any that is free. */
  readonly clusterId?: number;
}

/** A cluster calls itself by another id than it was let in under. It is not followed: ids of others are not to be had by saying so. */
export class PeerIdError extends Error {
  override readonly name = 'PeerIdError';
  readonly code = 'CLUSTERMESH_PEER_ID';
}

/** @throws {PeerIdError} for an id that is not the one of its policy */
export function checkPeerId({ clusterId }: PeerPolicy, { id }: { readonly id: number }): void {
  if (clusterId !== undefined && id !== clusterId)
    throw new PeerIdError(`It was let in as cluster ${clusterId}, and calls itself ${id}`);
}

/** What stands beside a configuration. @throws {PeerPolicyError} */
export function policyOf({ policy }: Pick<PeerConfig, 'policy'>): PeerPolicy {
  return policy ? parsePeerPolicy(policy.text, policy.path) : {};
}

/** A policy file that cannot be meant: names file and member. Its cluster is not followed until it is mended. */
export class PeerPolicyError extends Error {
  override readonly name = 'PeerPolicyError';
  readonly code = 'CLUSTERMESH_PEER_POLICY';
  readonly fileName: string;

  constructor(fileName: string, problem: string, options?: ErrorOptions) {
    super(`${fileName}: ${problem}`, options);
    this.fileName = fileName;
  }
}

/** Beside the configuration of a cluster, in the same directory. The ending makes it no cluster name. */
export function policyFileOf(cluster: string): string {
  return `${cluster}${policyEnding}`;
}

export const policyEnding = '.isthmus.yaml';

const members = new Set(['allowedCIDRs', 'clusterID']);

/**
 * Reads the YAML of a policy file: `allowedCIDRs`, a list of blocks, and `clusterID`. A member that is not known is an error, since a
 * misspelled limit would be none. @throws {PeerPolicyError}
 */
export function parsePeerPolicy(text: string, fileName: string): PeerPolicy {
  const document = parseDocument(text, fileName);
  const unknown = Object.keys(document).find((name) => !members.has(name));
  if (unknown !== undefined)
    throw new PeerPolicyError(fileName, `unknown member ${unknown}, expected one of ${[...members].join(', ')}`);
  const clusterId = document['clusterID'];
  if (clusterId !== undefined && !(Number.isInteger(clusterId) && Number(clusterId) >= 1 && Number(clusterId) <= 511))
    throw new PeerPolicyError(fileName, 'clusterID: expected a whole number from 1 to 511');
  const bound = clusterId === undefined ? {} : { clusterId: Number(clusterId) };
  const listed = document['allowedCIDRs'];
  // Not null: it is what stands there while the list has not been written yet, or was commented out, and would lift the limits.
  if (listed === undefined) return bound;
  if (!Array.isArray(listed) || !listed.every((item) => typeof item === 'string'))
    throw new PeerPolicyError(fileName, 'allowedCIDRs: expected a list of blocks, as "10.2.0.0/16"');
  return {
    ...bound,
    allowedCidrs: listed.map((item) => {
      try {
        return parsePrefix(item);
      } catch (error) {
        const problem = error instanceof Error ? error.message : String(error);
        throw new PeerPolicyError(fileName, `allowedCIDRs: ${problem}`, { cause: error });
      }
    }),
  };
}

function parseDocument(text: string, fileName: string): Readonly<Record<string, unknown>> {
  // Whoever writes a file in place truncates it first: an empty one must not lift the limits.
  if (text.trim() === '')
    throw new PeerPolicyError(fileName, 'is empty or cannot be read, expected the member allowedCIDRs or clusterID');
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    throw new PeerPolicyError(fileName, `not YAML: ${error instanceof Error ? error.message.split('\n')[0] : ''}`);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new PeerPolicyError(fileName, 'expected a mapping with the member allowedCIDRs or clusterID');
  return document as Readonly<Record<string, unknown>>;
}
