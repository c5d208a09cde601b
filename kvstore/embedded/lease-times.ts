/** Id 8, seconds 8, for each lease. */
const entryBytes = 16;

/** What time leases have left, as one value. */
export function encodeTimes(left: ReadonlyMap<bigint, number>): Buffer {
  const bytes = Buffer.alloc(left.size * entryBytes);
  let position = 0;
  for (const [id, seconds] of left) {
    bytes.writeBigInt64BE(id, position);
    bytes.writeDoubleBE(seconds, position + 8);
    position += entryBytes;
  }
  return bytes;
}

export function decodeTimes(bytes: Buffer = Buffer.alloc(0)): Map<bigint, number> {
  const left = new Map<bigint, number>();
  for (let position = 0; position + entryBytes <= bytes.length; position += entryBytes)
    left.set(bytes.readBigInt64BE(position), bytes.readDoubleBE(position + 8));
  return left;
}
