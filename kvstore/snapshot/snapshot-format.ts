/**
 * A snapshot is gzipped text, one JSON object a line: a header, the entries in byte order of their keys, the leases that
 * hold some of them, and an end that counts both. Keys and values that are no UTF-8 are in base64, under `keyBase64` and
 * `valueBase64`.
 */
export const snapshotFormat = 1;

export interface SnapshotHeader {
  readonly product: 'isthmus';
  readonly snapshot: number;
  /** Id of the store it was taken of. */
  readonly storeId: string;
  readonly revision: number;
  /** When, in RFC 3339. */
  readonly taken: string;
}

export interface SnapshotEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** 0 for none. */
  readonly lease: bigint;
}

export interface SnapshotEnd {
  readonly keys: number;
  readonly leases: number;
}

/** The file is no snapshot, is damaged, or was cut short. */
export class SnapshotFileError extends Error {
  override readonly name = 'SnapshotFileError';
  readonly code = 'SNAPSHOT_FILE';
  readonly fileName: string;

  constructor(fileName: string, problem: string, options?: ErrorOptions) {
    super(`${fileName}: ${problem}`, options);
    this.fileName = fileName;
  }
}

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export function encodeEntry({ key, value, lease }: SnapshotEntry): string {
  const held = lease === 0n ? {} : { lease: lease.toString(16) };
  return `${JSON.stringify({ ...named('key', key), ...named('value', value), ...held })}\n`;
}

export function decodeEntry(line: Readonly<Record<string, unknown>>): SnapshotEntry | undefined {
  const key = bytesOf(line['key'], line['keyBase64']);
  const value = bytesOf(line['value'], line['valueBase64']);
  const lease = line['lease'] === undefined ? 0n : leaseOf(line['lease']);
  return key && value && lease !== undefined ? { key, value, lease } : undefined;
}

/** A lease id as text has it. Ids are signed, as etcd’s are. */
export function leaseOf(text: unknown): bigint | undefined {
  if (typeof text !== 'string' || !/^-?[0-9a-f]{1,32}$/.test(text)) return undefined;
  return text.startsWith('-') ? -BigInt(`0x${text.slice(1)}`) : BigInt(`0x${text}`);
}

function named(name: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  try {
    return { [name]: strict.decode(bytes) };
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') };
  }
}

function bytesOf(text: unknown, base64: unknown): Uint8Array | undefined {
  if (typeof text === 'string') return Buffer.from(text);
  return typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined;
}
