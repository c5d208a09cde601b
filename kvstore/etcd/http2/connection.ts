import type { Socket } from 'node:net';
import { type FrameSink, FrameParser } from './frame-parser.ts';
import * as frames from './frames.ts';
import { decodeHeaders } from './hpack.ts';
import { Http2Error } from './http2-error.ts';
import type { Intake } from './intake.ts';
import { GrowingRoom, type Room } from './room.ts';
import { Http2Stream, type StreamEvents, type StreamPort } from './stream.ts';

const { flag, frameType, errorCode, setting } = frames;

/** 16 MiB for each stream and for the connection: the default of 64 KiB gives 1.2 MB/s at 50 ms. */
const windowBytes = 16 << 20;
/** Granted anew in quarters, so that who sends need not wait for us. */
const grantBytes = windowBytes / 4;
const maxHeaderBlockBytes = 64 * 1024;
/** One before the content, one behind it, and some that only say that it takes time. */
const maxHeaderBlocks = 16;
/** DATA without content; who sends more of it in a row keeps us busy for nothing. */
const maxEmptyFrames = 10_000;
/** Answers to SETTINGS and PING that the other side does not read. */
const maxUnsentBytes = 1 << 20;

export interface ConnectionEvents {
  /** The other side speaks HTTP/2. */
  ready(): void;
  /** No new streams are taken; those that are open may end well. */
  goaway(code: number): void;
  /** Called once, last. */
  closed(error: unknown): void;
}

/**
 * The client's side of HTTP/2 (RFC 9113) over a socket, as far as gRPC needs it: no pushes, no priorities, no table of
 * headers. In place of `node:http2`, whose buffers for each frame cost more than all that we do with what is in them.
 */
export class Http2Connection implements FrameSink, StreamPort {
  /** Who is told; somebody else may take it over. */
  events: ConnectionEvents;
  readonly #socket: Socket;
  readonly #parser = new FrameParser(this);
  readonly #streams = new Map<number, Http2Stream>();
  /** They wait until the other side takes more streams. */
  readonly #unopened = new Set<Http2Stream>();
  readonly #pings = new Map<bigint, () => void>();
  #nextId = 1;
  #pingCount = 0n;
  #sendWindow: number = frames.defaultWindowBytes;
  #peerWindow: number = frames.defaultWindowBytes;
  #peerMaxFrame: number = frames.defaultMaxFrameBytes;
  #peerMaxStreams = Number.POSITIVE_INFINITY;
  #receiveWindow = windowBytes;
  #ready = false;
  #draining = false;
  #closed = false;
  #corked = false;
  #unsentAnswers = 0;
  #emptyFrames = 0;
  /** Of the DATA frame that is coming in. */
  #current: Http2Stream | undefined;
  readonly #touched = new Set<Http2Stream>();
  /** Headers whose end has not come. */
  #block: { readonly stream: number; readonly isLast: boolean; parts: Buffer[]; bytes: number } | undefined;

  constructor(socket: Socket, intake: Intake, events: ConnectionEvents) {
    this.#socket = socket;
    this.events = events;
    socket.on('error', (error) => this.#close(error));
    socket.on('end', () => this.#close(new Error('The other side ended the connection')));
    socket.on('close', () => this.#close(new Error('The connection was closed')));
    this.#write(frames.preface);
    this.#write(
      frames.settingsFrame([
        [setting.headerTableSize, 0],
        [setting.enablePush, 0],
        [setting.initialWindowSize, windowBytes],
      ]),
    );
    this.#write(frames.numberFrame(frameType.windowUpdate, 0, windowBytes - frames.defaultWindowBytes));
    intake.attach((buffer, from, to) => this.#receive(buffer, from, to));
  }

  /** False when no new stream can be opened. */
  get usable(): boolean {
    return !this.#closed && !this.#draining && this.#nextId < 2 ** 31 - 1;
  }

  /** Begins a stream; `headers` are encoded already. To be called only while {@link usable}. */
  open(headers: Buffer, events: StreamEvents, room: Room = new GrowingRoom()): Http2Stream {
    return new Http2Stream(this, events, headers, room, windowBytes);
  }

  /** `answered` is called when the other side has answered. */
  ping(answered: () => void): void {
    if (this.#closed) return;
    this.#pingCount += 1n;
    this.#pings.set(this.#pingCount, answered);
    const payload = Buffer.alloc(8);
    payload.writeBigUInt64BE(this.#pingCount);
    this.#write(frames.frameOf(frameType.ping, 0, 0, payload));
  }

  /** Ends the connection and its streams at once. */
  destroy(error?: unknown): void {
    this.#close(error);
  }

  wantsToSend(stream: Http2Stream): void {
    if (this.#closed) stream.close(errorCode.refusedStream, undefined);
    else if (stream.id > 0 || this.#start(stream)) this.#pump(stream);
  }

  consumed(stream: Http2Stream, bytes: number): void {
    if (stream.remoteEnded || stream.id === 0) return;
    stream.granted += bytes;
    if (stream.granted < grantBytes) return;
    this.#write(frames.numberFrame(frameType.windowUpdate, stream.id, stream.granted));
    stream.receiveWindow += stream.granted;
    stream.granted = 0;
  }

  giveUp(stream: Http2Stream, code: number): void {
    if (this.#streams.has(stream.id)) this.#write(frames.numberFrame(frameType.rstStream, stream.id, code));
    this.#end(stream, undefined, undefined);
  }

  dataBegins(id: number, length: number): void {
    this.#throwInsideHeaders();
    this.#emptyFrames = length === 0 ? this.#emptyFrames + 1 : 0;
    if (this.#emptyFrames > maxEmptyFrames) throw new Http2Error(errorCode.enhanceYourCalm, 'Too many empty frames');
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) throw new Http2Error(errorCode.flowControl, 'More was sent than was granted');
    // Whether anybody reads it or not: a stream that nobody reads must not hold up the others.
    if (this.#receiveWindow < windowBytes - grantBytes) {
      this.#write(frames.numberFrame(frameType.windowUpdate, 0, windowBytes - this.#receiveWindow));
      this.#receiveWindow = windowBytes;
    }
    const stream = this.#streamOf(id);
    this.#current = stream;
    if (!stream) return;
    if (stream.remoteEnded) throw new Http2Error(errorCode.protocol, `Content behind the end of stream ${id}`);
    stream.receiveWindow -= length;
    if (stream.receiveWindow < 0) throw new Http2Error(errorCode.flowControl, 'More was sent than was granted');
  }

  data(buffer: Buffer, from: number, to: number): void {
    if (!this.#current || this.#current.closed) return;
    this.#current.append(buffer, from, to);
    this.#touched.add(this.#current);
  }

  dataEnds(isLast: boolean): void {
    const stream = this.#current;
    this.#current = undefined;
    if (isLast && stream && !stream.closed) this.#remoteEnd(stream);
  }

  frame(type: number, flags: number, stream: number, payload: Buffer): void {
    if (type === frameType.continuation) {
      this.#continue(flags, stream, payload);
      return;
    }
    this.#throwInsideHeaders();
    switch (type) {
      case frameType.headers:
        this.#headers(flags, stream, payload);
        break;
      case frameType.rstStream:
        this.#reset(stream, payload);
        break;
      case frameType.settings:
        this.#settings(flags, stream, payload);
        break;
      case frameType.pushPromise:
        throw new Http2Error(errorCode.protocol, 'A push that was not asked for');
      case frameType.ping:
        this.#ping(flags, stream, payload);
        break;
      case frameType.goaway:
        this.#goaway(payload);
        break;
      case frameType.windowUpdate:
        this.#windowUpdate(stream, payload);
        break;
      default:
      // PRIORITY, and what is unknown.
    }
  }

  #receive(buffer: Buffer, from: number, to: number): void {
    if (this.#closed) return;
    try {
      this.#parser.push(buffer, from, to);
      for (const stream of this.#touched) stream.rest();
    } catch (error) {
      this.#write(frames.goawayFrame(error instanceof Http2Error ? error.code : errorCode.internal));
      this.#close(error);
    } finally {
      this.#touched.clear();
    }
  }

  /** Sends a stream's headers, if the other side takes one more. */
  #start(stream: Http2Stream): boolean {
    if (this.#streams.size >= this.#peerMaxStreams) {
      this.#unopened.add(stream);
      return false;
    }
    if (!this.usable) {
      stream.close(errorCode.refusedStream, undefined);
      return false;
    }
    stream.id = this.#nextId;
    this.#nextId += 2;
    stream.sendWindow = this.#peerWindow;
    this.#streams.set(stream.id, stream);
    this.#write(frames.frameOf(frameType.headers, flag.endHeaders, stream.id, stream.headers));
    return true;
  }

  /** Sends as much of a stream's content as may be sent. */
  #pump(stream: Http2Stream): void {
    for (;;) {
      const max = Math.min(this.#sendWindow, stream.sendWindow, this.#peerMaxFrame);
      const next = stream.nextToSend(max);
      if (!next) break;
      const { bytes, isLast } = next;
      this.#sendWindow -= bytes.length;
      stream.sendWindow -= bytes.length;
      this.#write(frames.frameOf(frameType.data, isLast ? flag.endStream : 0, stream.id, bytes));
    }
    if (stream.done) this.#end(stream, undefined, undefined);
  }

  #remoteEnd(stream: Http2Stream): void {
    stream.takeEnd();
    // Our side of a stream in both directions may be open still.
    if (stream.writable) stream.end();
    // What has not been sent is not wanted any more.
    if (!stream.done && !stream.closed)
      this.#write(frames.numberFrame(frameType.rstStream, stream.id, errorCode.cancel));
    this.#end(stream, undefined, undefined);
  }

  #end(stream: Http2Stream, code: number | undefined, error: unknown): void {
    this.#streams.delete(stream.id);
    this.#unopened.delete(stream);
    stream.close(code, error);
    for (const next of this.#unopened) {
      if (this.#streams.size >= this.#peerMaxStreams) break;
      this.#unopened.delete(next);
      this.wantsToSend(next);
    }
    if (this.#draining && this.#streams.size === 0) this.#close(new Error('The other side ended the connection'));
  }

  /** Undefined for a stream that we have given up. @throws {Http2Error} for one that was never opened */
  #streamOf(id: number): Http2Stream | undefined {
    const stream = this.#streams.get(id);
    if (!stream && (id === 0 || id % 2 === 0 || id >= this.#nextId))
      throw new Http2Error(errorCode.protocol, `A frame of stream ${id}, which nobody has opened`);
    return stream;
  }

  #throwInsideHeaders(): void {
    if (this.#block) throw new Http2Error(errorCode.protocol, 'A frame in the middle of headers');
  }

  #headers(flags: number, id: number, payload: Buffer): void {
    let from = 0;
    let to = payload.length;
    if ((flags & flag.padded) !== 0) {
      to -= payload[0] ?? 0;
      from += 1;
    }
    if ((flags & flag.priority) !== 0) from += 5;
    if (from > to) throw new Http2Error(errorCode.protocol, 'Headers of padding only');
    const isLast = (flags & flag.endStream) !== 0;
    const part = payload.subarray(from, to);
    if ((flags & flag.endHeaders) !== 0) this.#takeHeaders(id, part, isLast);
    else this.#block = { stream: id, isLast, parts: [Buffer.from(part)], bytes: part.length };
  }

  #continue(flags: number, id: number, payload: Buffer): void {
    const block = this.#block;
    if (!block || block.stream !== id) throw new Http2Error(errorCode.protocol, 'Headers go on that did not begin');
    block.parts.push(Buffer.from(payload));
    // An empty part counts, too.
    block.bytes += payload.length + frames.frameHeaderBytes;
    if (block.bytes > maxHeaderBlockBytes) throw new Http2Error(errorCode.enhanceYourCalm, 'Headers are too long');
    if ((flags & flag.endHeaders) === 0) return;
    this.#block = undefined;
    this.#takeHeaders(id, Buffer.concat(block.parts), block.isLast);
  }

  #takeHeaders(id: number, block: Uint8Array, isLast: boolean): void {
    const stream = this.#streamOf(id);
    if (!stream) return;
    if (stream.remoteEnded) throw new Http2Error(errorCode.protocol, `Headers behind the end of stream ${id}`);
    if ((stream.headerBlocks += 1) > maxHeaderBlocks)
      throw new Http2Error(errorCode.enhanceYourCalm, 'Headers again and again');
    let headers: ReadonlyMap<string, string>;
    try {
      headers = decodeHeaders(block);
    } catch (cause) {
      throw new Http2Error(errorCode.compression, cause instanceof Error ? cause.message : String(cause));
    }
    stream.takeHeaders(headers);
    if (isLast && !stream.closed) this.#remoteEnd(stream);
  }

  #reset(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw new Http2Error(errorCode.frameSize, 'A reset of a strange length');
    const stream = this.#streamOf(id);
    if (stream) this.#end(stream, payload.readUInt32BE(0), undefined);
  }

  #settings(flags: number, stream: number, payload: Buffer): void {
    if (stream !== 0) throw new Http2Error(errorCode.protocol, 'Settings of a stream');
    if ((flags & flag.ack) !== 0) return;
    if (payload.length % 6 !== 0) throw new Http2Error(errorCode.frameSize, 'Settings of a strange length');
    for (let at = 0; at < payload.length; at += 6) this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
    this.#answer(frames.frameOf(frameType.settings, flag.ack, 0, new Uint8Array(0)));
    if (!this.#ready) {
      this.#ready = true;
      this.events.ready();
    }
    this.#pumpAll();
  }

  #set(id: number, value: number): void {
    if (id === setting.maxConcurrentStreams) this.#peerMaxStreams = value;
    else if (id === setting.maxFrameSize) {
      if (value < frames.defaultMaxFrameBytes || value > 2 ** 24 - 1)
        throw new Http2Error(errorCode.protocol, `Frames of ${value} bytes`);
      this.#peerMaxFrame = value;
    } else if (id === setting.initialWindowSize) {
      if (value > frames.maxWindowBytes) throw new Http2Error(errorCode.flowControl, `A window of ${value} bytes`);
      for (const stream of this.#streams.values()) stream.sendWindow += value - this.#peerWindow;
      this.#peerWindow = value;
    }
  }

  #ping(flags: number, stream: number, payload: Buffer): void {
    if (stream !== 0 || payload.length !== 8) throw new Http2Error(errorCode.protocol, 'A strange PING');
    if ((flags & flag.ack) === 0) {
      this.#answer(frames.frameOf(frameType.ping, flag.ack, 0, payload));
      return;
    }
    const count = payload.readBigUInt64BE();
    const answered = this.#pings.get(count);
    this.#pings.delete(count);
    answered?.();
  }

  #goaway(payload: Buffer): void {
    if (payload.length < 8) throw new Http2Error(errorCode.frameSize, 'A GOAWAY of a strange length');
    const last = payload.readUInt32BE(0) & 0x7fff_ffff;
    this.#draining = true;
    this.events.goaway(payload.readUInt32BE(4));
    for (const stream of this.#unopened) this.#end(stream, errorCode.refusedStream, undefined);
    for (const stream of this.#streams.values())
      if (stream.id > last) this.#end(stream, errorCode.refusedStream, undefined);
    if (this.#streams.size === 0) this.#close(new Error('The other side ended the connection'));
  }

  #windowUpdate(id: number, payload: Buffer): void {
    if (payload.length !== 4) throw new Http2Error(errorCode.frameSize, 'A grant of a strange length');
    const more = payload.readUInt32BE(0) & 0x7fff_ffff;
    if (id === 0) {
      this.#sendWindow += more;
      if (more === 0 || this.#sendWindow > frames.maxWindowBytes)
        throw new Http2Error(errorCode.flowControl, 'A grant that makes no sense');
      this.#pumpAll();
      return;
    }
    const stream = this.#streamOf(id);
    if (!stream) return;
    stream.sendWindow += more;
    if (more === 0 || stream.sendWindow > frames.maxWindowBytes)
      throw new Http2Error(errorCode.flowControl, 'A grant that makes no sense');
    this.#pump(stream);
  }

  #pumpAll(): void {
    for (const stream of this.#unopened) {
      if (this.#streams.size >= this.#peerMaxStreams) break;
      this.#unopened.delete(stream);
      this.wantsToSend(stream);
    }
    for (const stream of this.#streams.values()) this.#pump(stream);
  }

  /** Writes what the other side makes us write. What we send by ourselves may be far more, and is within what it has granted. */
  #answer(bytes: Buffer): void {
    if (this.#unsentAnswers > maxUnsentBytes)
      throw new Http2Error(errorCode.enhanceYourCalm, 'More is asked than answers are read');
    this.#unsentAnswers += bytes.length;
    this.#write(bytes, () => (this.#unsentAnswers -= bytes.length));
  }

  /** Everything of one turn goes out at once. */
  #write(bytes: Buffer, sent?: () => void): void {
    if (this.#closed || this.#socket.destroyed) return;
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(bytes, sent);
  }

  #close(error: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#corked) this.#socket.uncork();
    this.#socket.destroy();
    this.#pings.clear();
    const streams = [...this.#streams.values()];
    const unopened = [...this.#unopened];
    this.#streams.clear();
    this.#unopened.clear();
    for (const stream of streams) stream.close(undefined, error);
    for (const stream of unopened) stream.close(errorCode.refusedStream, error);
    this.events.closed(error);
  }
}
