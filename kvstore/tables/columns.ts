/** The kinds of typed arrays that columns are made of. */
export type Column = Uint8Array | Uint16Array | Uint32Array | Int32Array | Float64Array;

/** How many rows to make room for when there are `rows`: a fifth more, so that little is empty and copying stays rare. */
export function roomFor(rows: number): number {
  return Math.max(1024, Math.ceil(rows * 1.2));
}

/**
 * The column with room for `rows`, its content kept. The one given is detached: what a large table leaves behind at each step of its
 * growth would otherwise lie there until a collection, and start one after the other.
 */
export function widened<C extends Column>(column: C, rows: number): C {
  const { BYTES_PER_ELEMENT: width, constructor } = column;
  const buffer = (column.buffer as ArrayBuffer).transfer(rows * width);
  // The same kind over another buffer: the constructor of a typed array is not typed to say so.
  return new (constructor as new (buffer: ArrayBuffer) => C)(buffer);
}

/** Spreads 32 bits over 32 bits (murmur3's finalizer): neighbours among addresses must not be neighbours among slots. */
export function mixed(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
