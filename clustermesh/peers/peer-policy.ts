import { parse } from 'yaml';
import { type Prefix, parsePrefix } from '../../values/ip/index.ts';

/** What we allow a peer, whatever it says of itself. */
export interface PeerPolicy {
  /** Blocks in which its pods, pod CIDRs and backends must lie; undefined: anywhere that is not ours. */
  readonly allowedCidrs?: readonly Prefix[];
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

const members = new Set(['allowedCIDRs']);

/**
 * Reads the YAML of a policy file: `allowedCIDRs`, a list of blocks. A member that is not known is an error, since a
 * misspelled limit would be none. @throws {PeerPolicyError}
 */
export function parsePeerPolicy(text: string, fileName: string): PeerPolicy {
  const document = parseDocument(text, fileName);
  const unknown = Object.keys(document).find((name) => !members.has(name));
  if (unknown !== undefined)
    throw new PeerPolicyError(fileName, `unknown member ${unknown}, expected one of ${[...members].join(', ')}`);
  const listed = document['allowedCIDRs'];
  if (listed === undefined || listed === null) return {};
  if (!Array.isArray(listed) || !listed.every((item) => typeof item === 'string'))
    throw new PeerPolicyError(fileName, 'allowedCIDRs: expected a list of blocks, as "10.2.0.0/16"');
  return {
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
  if (text.trim() === '') throw new PeerPolicyError(fileName, 'is empty, expected the member allowedCIDRs');
  let document: unknown;
  try {
    document = parse(text);
  } catch (error) {
    throw new PeerPolicyError(fileName, `not YAML: ${error instanceof Error ? error.message.split('\n')[0] : ''}`);
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new PeerPolicyError(fileName, 'expected a mapping with the member allowedCIDRs');
  return document as Readonly<Record<string, unknown>>;
}
