import { escapedCode, shownLine } from '../output/index.ts';
import type { KeyValue } from '../../kvstore/index.ts';

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a key or value; undefined for bytes that are no UTF-8. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

/** Bytes on one line of a terminal: what is no printable text is escaped, a backslash too. */
export function shownBytes(bytes: Uint8Array): string {
  const text = textOf(bytes);
  if (text === undefined)
    return Array.from(bytes, (byte) =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x5c ? String.fromCodePoint(byte) : escapedCode(byte),
    ).join('');
  return shownLine(text.replaceAll('\\', '\\\\'));
}

/** `{ key: text }`, or `{ keyBase64: … }` for bytes that are no text: a program gets back exactly what is stored. */
export function jsonBytes(name: string, bytes: Uint8Array): Readonly<Record<string, string>> {
  const text = textOf(bytes);
  return text === undefined ? { [`${name}Base64`]: Buffer.from(bytes).toString('base64') } : { [name]: text };
}

/** An entry for `-o json`; 64-bit leases are in hex, as etcdctl shows them. */
export function jsonEntry(entry: KeyValue, withValue: boolean): Readonly<Record<string, string | number>> {
  return {
    ...jsonBytes('key', entry.key),
    createRevision: entry.createRevision,
    modRevision: entry.modRevision,
    version: entry.version,
    lease: entry.lease.toString(16),
    ...(withValue ? jsonBytes('value', entry.value) : {}),
  };
}
