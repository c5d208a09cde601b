import type { Bytes } from './key-value.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The bytes of a key, prefix or value. */
export function toBytes(input: Bytes): Uint8Array {
  return typeof input === 'string' ? encoder.encode(input) : input;
}

/** UTF-8 text of a key or value; invalid bytes become U+FFFD. */
export function toText(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** A key in quotation marks, for people: bytes that are no text are shown as `\xNN`. */
export function quoted(key: Uint8Array): string {
  try {
    return JSON.stringify(strict.decode(key));
  } catch {
    const shown = Array.from(key, (byte) =>
      byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
        ? String.fromCodePoint(byte)
        : `\\x${byte.toString(16).padStart(2, '0')}`,
    );
    return `"${shown.join('')}"`;
  }
}

/**
 * The first key after all keys that begin with `prefix`: its last byte plus one, 0xff bytes dropped
 * (etcd's `clientv3.GetPrefixRangeEnd`). A prefix of nothing but 0xff bytes, or an empty one, gives a single zero byte,
 * which etcd reads as "to the end".
 */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  for (let i = prefix.length - 1; i >= 0; i--) {
    const byte = prefix[i] ?? 0;
    if (byte < 0xff) {
      // A copy for certain: `slice` of a Buffer is a view.
      const end = new Uint8Array(prefix.subarray(0, i + 1));
      end[i] = byte + 1;
      return end;
    }
  }
  return new Uint8Array([0]);
}
