import { type KeyValue, ProtocolError } from '../contract/index.ts';
import { leaseOfSession } from './keys.ts';

/** One key as Consul's API shows it. */
export interface ConsulEntry {
  readonly Key: string;
  /** Base64; null if empty. */
  readonly Value: string | null;
  readonly Session?: string;
  readonly CreateIndex: number;
  readonly ModifyIndex: number;
}

export function isConsulEntry(value: unknown): value is ConsulEntry {
  const entry = value as Partial<ConsulEntry> | null;
  return (
    typeof entry === 'object' &&
    entry !== null &&
    typeof entry.Key === 'string' &&
    (entry.Value === null || typeof entry.Value === 'string') &&
    Number.isSafeInteger(entry.CreateIndex) &&
    Number.isSafeInteger(entry.ModifyIndex)
  );
}

/** Consul does not count writes: version 1 says not written since it was created, 2 says that it was. */
export function versionOf(createIndex: number, modifyIndex: number): number {
  return createIndex === modifyIndex ? 1 : 2;
}

export function toKeyValue(entry: ConsulEntry): KeyValue {
  return {
    key: new TextEncoder().encode(entry.Key),
    value: bytesOf(entry.Value),
    createRevision: entry.CreateIndex,
    modRevision: entry.ModifyIndex,
    version: versionOf(entry.CreateIndex, entry.ModifyIndex),
    lease: leaseOfSession(entry.Session),
  };
}

export function bytesOf(base64: string | null): Uint8Array {
  return new Uint8Array(Buffer.from(base64 ?? '', 'base64'));
}

/** The entries of an answer. @throws {ProtocolError} */
export function entriesOf(value: unknown, what: string): ConsulEntry[] {
  if (!Array.isArray(value) || !value.every(isConsulEntry))
    throw new ProtocolError(`Cannot ${what}: the answer is no list of keys`);
  return value;
}

export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ProtocolError(`Cannot ${what}: the answer is no JSON`, { cause: error });
  }
}
