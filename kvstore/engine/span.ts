import type { KeyRange } from '../contract/index.ts';

/** A range of keys as etcd reads it: one key, [start, end), or from start to the end of all keys. */
export class Span {
  readonly start: Uint8Array;
  /** Absent: to the end of all keys. A single key ends right after itself. */
  readonly end: Uint8Array | undefined;
  readonly single: boolean;

  constructor(range: KeyRange) {
    const { key, rangeEnd } = range;
    this.start = key;
    this.single = rangeEnd === undefined || rangeEnd.length === 0;
    if (this.single) this.end = successor(key);
    else this.end = isToTheEnd(rangeEnd) ? undefined : rangeEnd;
  }

  contains(key: Uint8Array): boolean {
    if (this.single) return Buffer.compare(key, this.start) === 0;
    return Buffer.compare(key, this.start) >= 0 && (this.end === undefined || Buffer.compare(key, this.end) < 0);
  }
}

/** The first key after `key` in byte order. */
export function successor(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** A key as a string of one character a byte: compares and hashes as the bytes do. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

function isToTheEnd(rangeEnd: Uint8Array | undefined): boolean {
  return rangeEnd?.length === 1 && rangeEnd[0] === 0;
}
