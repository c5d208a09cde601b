import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from 'node:http2';
import { ProtocolError, UnavailableError } from '../../contract/index.ts';
import { decodeGrpcMessage } from '../wire/index.ts';
import { GrpcError, NotSentError } from './store-errors.ts';

/** Beyond this many bytes that nobody has read yet, the server is made to wait. */
const bufferedBytes = 256 * 1024;

/**
 * One gRPC call on an HTTP/2 stream, as bytes. It ends well only with `grpc-status: 0` from the server: a stream that is
 * cut looks like an ended one to `node:http2`, and must never pass for an empty answer.
 */
export class CallStream {
  readonly #stream: ClientHttp2Stream;
  #chunks: Buffer[] = [];
  #buffered = 0;
  #answered = false;
  #status: { readonly code: number; readonly message: string } | undefined;
  #httpStatus: number | undefined;
  #ended = false;
  #outcome: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream;
    stream.on('response', (headers) => {
      this.#answered = true;
      this.#httpStatus = headers[':status'];
      this.#readStatus(headers);
    });
    stream.on('trailers', (headers) => this.#readStatus(headers));
    stream.on('data', (chunk: Buffer) => this.#take(chunk));
    stream.on('end', () => {
      this.#ended = true;
      if (this.#status) this.#settle();
      // Our side of a stream in both directions is still open.
      if (stream.writable) stream.end();
    });
    stream.on('error', (error) => this.#settle(error));
    stream.on('close', () => this.#settle());
  }

  /** True when {@link read} would not have to wait. */
  get ready(): boolean {
    return this.#chunks.length > 0;
  }

  /** Sends one framed message. */
  send(frame: Uint8Array): void {
    if (this.#stream.writable) this.#stream.write(frame);
  }

  /** Sends the last framed message. */
  end(frame: Uint8Array): void {
    if (this.#stream.writable) this.#stream.end(frame);
  }

  /**
   * What has arrived since the last call, waiting for at least one chunk; undefined when the call has ended well.
   * @throws {GrpcError} the server's status; {@link UnavailableError} when the stream was cut.
   */
  async read(): Promise<readonly Buffer[] | undefined> {
    while (this.#chunks.length === 0) {
      if (this.#outcome) {
        if ('error' in this.#outcome) throw this.#outcome.error;
        return undefined;
      }
      await new Promise<void>((resolve) => (this.#wake = resolve));
      this.#wake = undefined;
    }
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#buffered = 0;
    if (this.#stream.isPaused()) this.#stream.resume();
    return chunks;
  }

  /** Ends the call from our side: what has not been read is dropped, and a reader gets `error`. */
  fail(error: unknown): void {
    this.#chunks = [];
    this.#outcome ??= { error };
    this.#wake?.();
    if (!this.#stream.destroyed) this.#stream.close(constants.NGHTTP2_CANCEL);
    // Unread data would keep the stream from closing.
    this.#stream.resume();
  }

  #take(chunk: Buffer): void {
    if (this.#outcome) return;
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    if (this.#buffered > bufferedBytes) this.#stream.pause();
    this.#wake?.();
  }

  #readStatus(headers: IncomingHttpHeaders): void {
    const code = headers['grpc-status'];
    if (code === undefined) return;
    const message = headers['grpc-message'];
    this.#status = {
      code: Number(code),
      message: decodeGrpcMessage(Array.isArray(message) ? message.join(', ') : (message ?? '')),
    };
    if (this.#ended) this.#settle();
  }

  #settle(error?: unknown): void {
    if (this.#outcome) return;
    this.#outcome = this.#judge(error);
    this.#wake?.();
  }

  #judge(error: unknown): { readonly error?: unknown } {
    const status = this.#status;
    if (status && status.code !== 0) return { error: new GrpcError(status.code, status.message) };
    if (status && this.#ended) return {};
    if (this.#stream.rstCode === constants.NGHTTP2_REFUSED_STREAM)
      return { error: new NotSentError('Call refused by the store', { cause: error }) };
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200)
      return {
        error: new ProtocolError(`Answer has HTTP status ${this.#httpStatus}: this is no etcd`, { cause: error }),
      };
    const when = this.#answered ? 'in the middle of an answer' : 'before an answer';
    return { error: new UnavailableError(`Connection lost ${when}`, { cause: error }) };
  }
}
