import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

/** `etcdctl snapshot save` takes a file for whole only if it is sectors of this size and a SHA-256 of them. */
const sectorBytes = 512;
const sumBytes = 32;
/** An empty member of gzip without its extra field. */
const emptyMemberBytes = 22;

/**
 * A snapshot as it goes to clients of etcd: filled up to whole sectors by an empty member, which gzip's readers pass
 * over, and followed by its SHA-256.
 */
export async function* sealed(snapshot: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of snapshot) {
    hash.update(chunk);
    length += chunk.length;
    yield chunk;
  }
  const filler = emptyMember(length);
  yield filler;
  yield hash.update(filler).digest();
}

/** Where the snapshot in a file ends: before its seal, if it has one. */
export async function endOfSnapshot(file: string, signal: AbortSignal): Promise<number> {
  const { size } = await stat(file);
  if (size % sectorBytes !== sumBytes) return size;
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file, { end: size - sumBytes - 1, signal })) hash.update(chunk as Buffer);
  const seal: Buffer[] = [];
  for await (const chunk of createReadStream(file, { start: size - sumBytes, signal })) seal.push(chunk as Buffer);
  // Without a seal the length is as it is by chance; a seal that does not fit shows in what stands before it.
  return Buffer.concat(seal).equals(hash.digest()) ? size - sumBytes : size;
}

/** As many bytes as lack to whole sectors (RFC 1952: an extra field of zeros, no content). */
function emptyMember(length: number): Buffer {
  const extra = (sectorBytes * 2 - ((length + emptyMemberBytes) % sectorBytes)) % sectorBytes;
  const member = Buffer.alloc(emptyMemberBytes + extra);
  member.set([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255]);
  member.writeUInt16LE(extra, 10);
  member.set([3, 0], 12 + extra);
  member.writeUInt32LE(crc32(''), 14 + extra);
  return member;
}
