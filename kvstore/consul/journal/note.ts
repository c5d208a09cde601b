import { KvStoreError } from '../../contract/index.ts';
import { leaseOfSession } from '../keys.ts';

/** One change as a writer of ours told it, in the very transaction that made it. */
export interface JournaledChange {
  readonly name: string;
  readonly revision: number;
  /** Absent: the key is gone. */
  readonly value?: {
    readonly base64: string;
    /** Id of the session that holds the key; empty for none. */
    readonly session: string;
    readonly lease: bigint;
  };
}

/** `[key]` for a deletion, `[key, value in base64, session]` for a put. */
export type WireChange = readonly [string] | readonly [string, string, string];

export function writeNote(changes: readonly WireChange[]): string {
  return JSON.stringify(changes);
}

/** What a note tells; undefined for one that no writer of ours wrote. */
export function readNote(text: string, revision: number): JournaledChange[] | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(parsed)) return undefined;
  const changes: JournaledChange[] = [];
  for (const item of parsed) {
    const change = changeOf(item, revision);
    if (!change) return undefined;
    changes.push(change);
  }
  return changes;
}

function changeOf(item: unknown, revision: number): JournaledChange | undefined {
  if (!Array.isArray(item) || !item.every((part) => typeof part === 'string')) return undefined;
  const [name, base64, session = ''] = item;
  if (name === undefined || name === '') return undefined;
  if (base64 === undefined) return { name, revision };
  try {
    return { name, revision, value: { base64, session, lease: leaseOfSession(session) } };
  } catch (error) {
    if (error instanceof KvStoreError) return undefined;
    throw error;
  }
}
