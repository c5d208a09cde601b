import { ProtocolError } from '../../contract/index.ts';
import type { Codec } from './message.ts';
import { ProtoWriter } from './writer.ts';

const prefixBytes = 5;
/** Writing several pieces costs more than copying so much. */
const joinedBytes = 64 * 1024;

/** A message of a stream that is longer than its reader accepts. */
export class MessageTooLargeError extends ProtocolError {
  readonly bytes: number;
  readonly maxBytes: number;

  constructor(bytes: number, maxBytes: number) {
    super(`Cannot read message of ${bytes} bytes: at most ${maxBytes} are accepted`);
    this.bytes = bytes;
    this.maxBytes = maxBytes;
  }
}

/** One gRPC message with its prefix: a zero byte (not compressed) and the length in four bytes, high byte first. */
export function encodeFrame<In>(codec: Codec<unknown, In>, value: In, sizeHint?: number): Buffer {
  const writer = new ProtoWriter(prefixBytes, sizeHint);
  codec.write(writer, value);
  const frame = writer.finish();
  frame[0] = 0;
  frame.writeUInt32BE(frame.length - prefixBytes, 1);
  return frame;
}

/** The same of a message that is there in pieces; a short one becomes one piece. */
export function frameOf(pieces: readonly Buffer[]): Buffer[] {
  const prefix = Buffer.alloc(prefixBytes);
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  prefix.writeUInt32BE(length, 1);
  const frame = [prefix, ...pieces];
  return length > joinedBytes ? frame : [Buffer.concat(frame)];
}

/**
 * Cuts a gRPC byte stream into messages. Source of the format: grpc/doc/PROTOCOL-HTTP2.md, "Length-Prefixed-Message".
 * A message that came in one chunk is a view of it, others are joined: copy what you keep.
 */
export class FrameReader {
  readonly #maxBytes: number;
  #chunks: Uint8Array[] = [];
  #buffered = 0;
  /** Length of the message being gathered; undefined while its prefix is. */
  #wanted: number | undefined;

  constructor(options: { readonly maxBytes: number }) {
    this.#maxBytes = options.maxBytes;
  }

  /** True between two messages: a stream may end here only. */
  get idle(): boolean {
    return this.#buffered === 0 && this.#wanted === undefined;
  }

  /** Bytes of a message that is not whole. */
  get buffered(): number {
    return this.#buffered;
  }

  /** Takes bytes and gives the messages that are now whole. @throws {ProtocolError} {@link MessageTooLargeError} */
  push(chunk: Uint8Array): Uint8Array[] {
    if (chunk.length > 0) this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const messages: Uint8Array[] = [];
    for (;;) {
      if (this.#wanted === undefined) {
        if (this.#buffered < prefixBytes) return messages;
        this.#wanted = this.#length(this.#take(prefixBytes));
      }
      if (this.#buffered < this.#wanted) return messages;
      messages.push(this.#take(this.#wanted));
      this.#wanted = undefined;
    }
  }

  #length(prefix: Uint8Array): number {
    if (prefix[0] !== 0) throw new ProtocolError('Cannot read compressed message: no encoding was agreed upon');
    const length = new DataView(prefix.buffer, prefix.byteOffset).getUint32(1);
    if (length > this.#maxBytes) throw new MessageTooLargeError(length, this.#maxBytes);
    return length;
  }

  #take(count: number): Uint8Array {
    this.#buffered -= count;
    const first = this.#chunks[0];
    if (first !== undefined && first.length >= count) {
      if (first.length === count) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(count);
      return first.subarray(0, count);
    }
    const joined = new Uint8Array(count);
    let filled = 0;
    for (let chunk = this.#chunks[0]; chunk !== undefined && filled < count; chunk = this.#chunks[0]) {
      const part = chunk.subarray(0, count - filled);
      joined.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    return joined;
  }
}
