import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Frames from this size on say how long their content is; Cilium's do the same (kvstore-schema §16.4, observed). */
const sizedFrom = 256;

/** One zstd frame (RFC 8878) with a checksum of its content. Equal content gives equal bytes within one process. */
export function compress(content: Uint8Array): Uint8Array {
  return zstdCompressSync(content, {
    params: {
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_contentSizeFlag]: content.length < sizedFrom ? 0 : 1,
    },
    pledgedSrcSize: content.length,
  });
}

/**
 * The content of exactly one frame. @throws when it is none, damaged, followed by something else, or longer than `maxBytes`:
 * a frame of a few bytes may claim gigabytes.
 */
export function decompress(frame: Uint8Array, maxBytes: number): Uint8Array {
  // With `info` the result is not a buffer: the types do not know it.
  const { buffer, engine } = zstdDecompressSync(frame, { maxOutputLength: maxBytes, info: true }) as unknown as {
    readonly buffer: Uint8Array;
    readonly engine: { readonly bytesWritten: number };
  };
  if (engine.bytesWritten !== frame.length)
    throw new RangeError(`${frame.length - engine.bytesWritten} bytes follow the frame`);
  return buffer;
}
