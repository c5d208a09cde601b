import { Http2Error } from './http2-error.ts';
import { defaultMaxFrameBytes, errorCode, flag, frameHeaderBytes, frameType } from './frames.ts';

export interface FrameSink {
  /** A DATA frame begins, of `length` bytes with its padding. */
  dataBegins(stream: number, length: number): void;
  /** Some of its content: `buffer[from, to)`, to be copied. */
  data(buffer: Buffer, from: number, to: number): void;
  dataEnds(isLast: boolean): void;
  /** Any other frame. The payload is valid during the call. */
  frame(type: number, flags: number, stream: number, payload: Buffer): void;
}

/**
 * Cuts what arrives into frames. The content of DATA frames goes through in pieces as they come; other frames are small and
 * are gathered first.
 */
export class FrameParser {
  readonly #sink: FrameSink;
  /** The beginning of a frame that is not whole; empty between frames and inside of DATA. */
  #gathered: Buffer | undefined;
  #have = 0;
  /** Bytes of the DATA frame that are still to come, and whether it is its stream's last. */
  #dataLeft = 0;
  #dataIsLast = false;

  constructor(sink: FrameSink) {
    this.#sink = sink;
  }

  /** @throws {Http2Error} when this is not HTTP/2 */
  push(buffer: Buffer, from: number, to: number): void {
    let at = from;
    while (at < to) {
      if (this.#dataLeft > 0) at = this.#passData(buffer, at, to);
      else if (this.#gathered) at = this.#gather(this.#gathered, buffer, at, to);
      else at = this.#begin(buffer, at, to);
    }
  }

  #passData(buffer: Buffer, at: number, to: number): number {
    const end = Math.min(to, at + this.#dataLeft);
    this.#sink.data(buffer, at, end);
    this.#dataLeft -= end - at;
    if (this.#dataLeft === 0) this.#sink.dataEnds(this.#dataIsLast);
    return end;
  }

  /** A frame begins at `at`. */
  #begin(buffer: Buffer, at: number, to: number): number {
    if (to - at < frameHeaderBytes) {
      this.#gathered = Buffer.allocUnsafe(frameHeaderBytes);
      this.#have = 0;
      return this.#gather(this.#gathered, buffer, at, to);
    }
    if (this.#startsData(buffer, at)) return at + frameHeaderBytes;
    const end = at + frameHeaderBytes + lengthOf(buffer, at);
    if (end <= to) {
      this.#pass(buffer.subarray(at, end));
      return end;
    }
    this.#gathered = Buffer.allocUnsafe(end - at);
    this.#have = 0;
    return this.#gather(this.#gathered, buffer, at, to);
  }

  #gather(frame: Buffer, buffer: Buffer, at: number, to: number): number {
    const taken = Math.min(frame.length - this.#have, to - at);
    buffer.copy(frame, this.#have, at, at + taken);
    this.#have += taken;
    if (this.#have < frame.length) return at + taken;
    this.#gathered = undefined;
    if (frame.length > frameHeaderBytes) this.#pass(frame);
    else if (!this.#startsData(frame, 0)) {
      const length = lengthOf(frame, 0);
      if (length === 0) this.#pass(frame);
      else {
        this.#gathered = Buffer.allocUnsafe(frameHeaderBytes + length);
        frame.copy(this.#gathered);
      }
    }
    return at + taken;
  }

  /** True when the header at `at` is that of a DATA frame without padding, whose content is to be passed on. */
  #startsData(buffer: Buffer, at: number): boolean {
    const length = lengthOf(buffer, at);
    if (length > defaultMaxFrameBytes) throw new Http2Error(errorCode.frameSize, meaningOf(buffer, at, length));
    const flags = buffer[at + 4] as number;
    if (buffer[at + 3] !== frameType.data || (flags & flag.padded) !== 0) return false;
    this.#sink.dataBegins(streamOf(buffer, at), length);
    this.#dataLeft = length;
    this.#dataIsLast = (flags & flag.endStream) !== 0;
    if (length === 0) this.#sink.dataEnds(this.#dataIsLast);
    return true;
  }

  /** A whole frame, its header included. */
  #pass(frame: Buffer): void {
    const type = frame[3] as number;
    const flags = frame[4] as number;
    const stream = streamOf(frame, 0);
    if (type !== frameType.data) {
      this.#sink.frame(type, flags, stream, frame.subarray(frameHeaderBytes));
      return;
    }
    // Content between the length of the padding and the padding.
    const padding = frame[frameHeaderBytes];
    if (padding === undefined || frameHeaderBytes + 1 + padding > frame.length)
      throw new Http2Error(errorCode.protocol, 'A frame of padding only');
    this.#sink.dataBegins(stream, frame.length - frameHeaderBytes);
    if (frame.length - padding > frameHeaderBytes + 1)
      this.#sink.data(frame, frameHeaderBytes + 1, frame.length - padding);
    this.#sink.dataEnds((flags & flag.endStream) !== 0);
  }
}

/** What begins with more than a frame may have is often no frame: the address is that of another service. */
function meaningOf(buffer: Buffer, at: number, length: number): string {
  if (buffer.toString('latin1', at, at + 5) === 'HTTP/') return 'What answers speaks HTTP/1, and is no etcd';
  // A TLS record of the type alert, version 3.x.
  if (buffer[at] === 0x15 && buffer[at + 1] === 3)
    return 'What answers speaks TLS, so that its address begins with https://';
  return `A frame of ${length} bytes`;
}

function lengthOf(buffer: Buffer, at: number): number {
  return ((buffer[at] as number) << 16) | ((buffer[at + 1] as number) << 8) | (buffer[at + 2] as number);
}

function streamOf(buffer: Buffer, at: number): number {
  return buffer.readUInt32BE(at + 5) & 0x7fff_ffff;
}
