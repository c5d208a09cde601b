/**
 * 64 bits of a byte string, as two halves that are never both 0: two functions of
 * the kind of murmur3 (A. Appleby, public domain) that mix differently. Two values of one key that differ have the same fingerprint once in 10¹⁹ times; it protects against
 * no forger, who could only hide changes of its own values.
 */
export class Fingerprint {
  low = 0;
  high = 0;

  of(bytes: Uint8Array): void {
    const { length } = bytes;
    let a = 0x9747b28c;
    let b = 0x1b873593;
    let at = 0;
    for (const whole = length & ~3; at < whole; at += 4) {
      const word =
        (bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24);
      a = rolled(a ^ scrambled(word), 13, 0xe6546b64);
      b = rolled(b ^ scrambledOtherwise(word), 19, 0x561ccd1b);
    }
    let rest = 0;
    for (let i = length - 1; i >= at; i--) rest = (rest << 8) | (bytes[i] as number);
    this.low = finished(a ^ scrambled(rest) ^ length);
    this.high = finished(b ^ scrambledOtherwise(rest) ^ length);
    if (this.low === 0 && this.high === 0) this.low = 1;
  }
}

function scrambled(word: number): number {
  const k = Math.imul(word, 0xcc9e2d51);
  return Math.imul((k << 15) | (k >>> 17), 0x1b873593);
}

function scrambledOtherwise(word: number): number {
  const k = Math.imul(word, 0x239b961b);
  return Math.imul((k << 16) | (k >>> 16), 0xab0e9789);
}

function rolled(h: number, by: number, plus: number): number {
  return (Math.imul((h << by) | (h >>> (32 - by)), 5) + plus) | 0;
}

function finished(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
