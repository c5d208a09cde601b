import { ProtocolError } from '../../contract/index.ts';
import { wireType } from '../wire/index.ts';

/** Takes the top-level fields of gRPC messages, each as soon as it is whole. */
export interface FieldSink {
  /** A field's value is `buffer[start, end)`, its length prefix left out. Bytes stay valid as long as they are held. */
  field(tag: number, buffer: Uint8Array, start: number, end: number): void;
  /** The message is complete. */
  end(): void;
}

/** Beyond this nobody sends a field (etcd's request limit is 1.5 MiB unless raised), so nothing longer is kept. */
const maxFieldBytes = 64 << 20;

/**
 * Cuts a stream of gRPC messages into their top-level fields while it arrives. A listing of a million keys is one message,
 * of which never more than one entry has to be kept for the next chunk.
 */
export class FieldScanner {
  readonly #sink: FieldSink;
  /** Chunks that hold the beginning of something not yet whole. */
  #carried: Uint8Array[] = [];
  #carriedBytes = 0;
  /** With fewer bytes there is no point in looking. */
  #wanted = 0;
  /** Bytes of the current message that were not scanned yet; undefined between messages. */
  #left: number | undefined;

  constructor(sink: FieldSink) {
    this.#sink = sink;
  }

  /** True between two messages: a stream may end here only. */
  get idle(): boolean {
    return this.#left === undefined && this.#carriedBytes === 0;
  }

  push(chunk: Uint8Array): void {
    let from = 0;
    // Of a chunk no more is copied than what the piece that was carried lacks.
    while (this.#carriedBytes > 0) {
      const lacking = this.#wanted - this.#carriedBytes;
      if (chunk.length - from < lacking) {
        if (from < chunk.length) this.#carry(chunk.subarray(from));
        return;
      }
      this.#carried.push(chunk.subarray(from, from + lacking));
      const joined = Buffer.concat(this.#carried, this.#wanted);
      from += lacking;
      this.#carried = [];
      this.#carriedBytes = 0;
      this.#scan(joined, 0);
    }
    this.#scan(chunk, from);
  }

  #carry(piece: Uint8Array): void {
    this.#carried.push(piece);
    this.#carriedBytes += piece.length;
  }

  #scan(buffer: Uint8Array, from: number): void {
    this.#wanted = 0;
    let position = from;
    while (position < buffer.length || this.#left === 0) {
      const next = this.#left === undefined ? this.#startMessage(buffer, position) : this.#scanField(buffer, position);
      if (next === undefined) {
        this.#carry(buffer.subarray(position));
        if (this.#wanted === 0) this.#wanted = this.#carriedBytes + 1;
        return;
      }
      position = next;
    }
  }

  #startMessage(buffer: Uint8Array, position: number): number | undefined {
    if (buffer.length - position < 5) return undefined;
    if (buffer[position] !== 0) throw new ProtocolError('Cannot read compressed message: no encoding was agreed upon');
    const high = (buffer[position + 1] ?? 0) * 256 + (buffer[position + 2] ?? 0);
    this.#left = (high * 256 + (buffer[position + 3] ?? 0)) * 256 + (buffer[position + 4] ?? 0);
    return position + 5;
  }

  /** Hands out the field at `position`. Gives the position behind it, or undefined if it is not whole. */
  #scanField(buffer: Uint8Array, position: number): number | undefined {
    const left = this.#left ?? 0;
    if (left === 0) {
      this.#left = undefined;
      this.#sink.end();
      return position;
    }
    const afterTag = varintEnd(buffer, position);
    if (afterTag === undefined) return undefined;
    const tag = varint(buffer, position, afterTag);
    let start = afterTag;
    let end: number | undefined;
    switch (tag & 7) {
      case wireType.varint:
        end = varintEnd(buffer, afterTag);
        break;
      case wireType.fixed64:
        end = afterTag + 8;
        break;
      case wireType.fixed32:
        end = afterTag + 4;
        break;
      case wireType.bytes: {
        const afterLength = varintEnd(buffer, afterTag);
        if (afterLength === undefined) return undefined;
        start = afterLength;
        end = afterLength + varint(buffer, afterTag, afterLength);
        break;
      }
      default:
        throw new ProtocolError(`Cannot decode message: wire type ${tag & 7}`);
    }
    if (end === undefined) return undefined;
    if (end - position > left || end - position > maxFieldBytes)
      throw new ProtocolError('Cannot decode message: a field runs over its end');
    if (end > buffer.length) {
      this.#wanted = end - position;
      return undefined;
    }
    this.#left = left - (end - position);
    this.#sink.field(tag, buffer, start, end);
    return end;
  }
}

/** Position behind the varint at `position`; undefined when it goes on beyond the buffer. */
function varintEnd(buffer: Uint8Array, position: number): number | undefined {
  for (let i = position; i < buffer.length; i++) {
    if ((buffer[i] ?? 0) < 0x80) return i + 1;
    if (i - position >= 9) throw new ProtocolError('Cannot decode message: number longer than 10 bytes');
  }
  return undefined;
}

/** A varint of at most 2⁵³, which every tag and length is. */
function varint(buffer: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let i = end - 1; i >= start; i--) value = value * 128 + ((buffer[i] ?? 0) & 0x7f);
  return value;
}
