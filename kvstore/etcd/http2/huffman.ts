/**
 * Length in bits of the code of each octet, as runs of `[length, how often]` (RFC 7541, appendix B). The code is canonical:
 * among codes of one length the numbers grow with the octets, so the lengths say all of it.
 */
const lengthRuns: readonly (readonly [bits: number, count: number])[] = [
  [13, 1],
  [23, 1],
  [28, 7],
  [24, 1],
  [30, 1],
  [28, 2],
  [30, 1],
  [28, 8],
  [30, 1],
  [28, 9],
  [6, 1],
  [10, 2],
  [12, 1],
  [13, 1],
  [6, 1],
  [8, 1],
  [11, 1],
  [10, 2],
  [8, 1],
  [11, 1],
  [8, 1],
  [6, 3],
  [5, 3],
  [6, 7],
  [7, 1],
  [8, 1],
  [15, 1],
  [6, 1],
  [12, 1],
  [10, 1],
  [13, 1],
  [6, 1],
  [7, 22],
  [8, 1],
  [7, 1],
  [8, 1],
  [13, 1],
  [19, 1],
  [13, 1],
  [14, 1],
  [6, 1],
  [15, 1],
  [5, 1],
  [6, 1],
  [5, 1],
  [6, 1],
  [5, 1],
  [6, 3],
  [5, 1],
  [7, 2],
  [6, 3],
  [5, 1],
  [6, 1],
  [7, 1],
  [6, 1],
  [5, 2],
  [6, 1],
  [7, 5],
  [15, 1],
  [11, 1],
  [14, 1],
  [13, 1],
  [28, 1],
  [20, 1],
  [22, 1],
  [20, 2],
  [22, 3],
  [23, 1],
  [22, 1],
  [23, 5],
  [24, 1],
  [23, 1],
  [24, 2],
  [22, 1],
  [23, 1],
  [24, 1],
  [23, 4],
  [21, 1],
  [22, 1],
  [23, 1],
  [22, 1],
  [23, 2],
  [24, 1],
  [22, 1],
  [21, 1],
  [20, 1],
  [22, 2],
  [23, 2],
  [21, 1],
  [23, 1],
  [22, 2],
  [24, 1],
  [21, 1],
  [22, 1],
  [23, 2],
  [21, 2],
  [22, 1],
  [21, 1],
  [23, 1],
  [22, 1],
  [23, 2],
  [20, 1],
  [22, 3],
  [23, 1],
  [22, 2],
  [23, 1],
  [26, 2],
  [20, 1],
  [19, 1],
  [22, 1],
  [23, 1],
  [22, 1],
  [25, 1],
  [26, 3],
  [27, 2],
  [26, 1],
  [24, 1],
  [25, 1],
  [19, 1],
  [21, 1],
  [26, 1],
  [27, 2],
  [26, 1],
  [27, 1],
  [24, 1],
  [21, 2],
  [26, 2],
  [28, 1],
  [27, 3],
  [20, 1],
  [24, 1],
  [20, 1],
  [21, 1],
  [22, 1],
  [21, 2],
  [23, 1],
  [22, 2],
  [25, 2],
  [24, 2],
  [26, 1],
  [23, 1],
  [26, 1],
  [27, 1],
  [26, 2],
  [27, 5],
  [28, 1],
  [27, 5],
  [26, 1],
];

const maxBits = 30;

/** Per length: the first code, how many there are, and where their octets begin in `octets`. */
const { first, count, start, octets } = tables();

/** Decodes a string in HPACK's Huffman code; undefined when it is none. */
export function decodeHuffman(bytes: Uint8Array, from: number, to: number): string | undefined {
  const decoded = Buffer.allocUnsafe(Math.ceil(((to - from) * 8) / 5));
  let length = 0;
  let code = 0;
  let bits = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] as number;
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      bits += 1;
      const offset = code - (first[bits] as number);
      if (offset >= 0 && offset < (count[bits] as number)) {
        decoded[length++] = octets[(start[bits] as number) + offset] as number;
        code = 0;
        bits = 0;
      } else if (bits > maxBits - 1) return undefined;
    }
  }
  // What is left is padding: the beginning of the longest code, which is ones, and less than an octet of it (§5.2).
  if (bits > 7 || code !== 2 ** bits - 1) return undefined;
  return decoded.toString('latin1', 0, length);
}

function tables(): Record<'first' | 'count' | 'start', Float64Array> & { readonly octets: Uint8Array } {
  const lengths = lengthRuns.flatMap(([bits, times]) => Array.from({ length: times }, () => bits));
  const count = new Float64Array(maxBits + 1);
  for (const bits of lengths) count[bits] = (count[bits] as number) + 1;
  const first = new Float64Array(maxBits + 1);
  const start = new Float64Array(maxBits + 1);
  for (let bits = 1; bits <= maxBits; bits++) {
    first[bits] = ((first[bits - 1] as number) + (count[bits - 1] as number)) * 2;
    start[bits] = (start[bits - 1] as number) + (count[bits - 1] as number);
  }
  const octets = new Uint8Array(lengths.length);
  const next = Float64Array.from(start);
  for (const [octet, bits] of lengths.entries()) {
    octets[next[bits] as number] = octet;
    next[bits] = (next[bits] as number) + 1;
  }
  return { first, count, start, octets };
}
