/** Sizes are checked before the kernel reads beyond the end of a Buffer. */
export function checkPacked(bytes: Uint8Array, size: number, count: number): void {
  if (bytes.length < size * count || (count === 1 && bytes.length !== size))
    throw new RangeError(`${count} entries of ${size} bytes do not fit ${bytes.length} bytes`);
}
