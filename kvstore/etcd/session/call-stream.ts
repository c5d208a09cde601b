import { ProtocolError, UnavailableError } from '../../contract/index.ts';
import { type Http2Stream, type StreamEvents, errorCode } from '../http2/index.ts';
import { decodeGrpcMessage, grpcStatus } from '../wire/index.ts';
import { GrpcError, NotSentError } from './store-errors.ts';

/**
 * One gRPC call on an HTTP/2 stream, as bytes. It ends well only with `grpc-status: 0` from the server: a stream that ends
 * without must never pass for an empty answer.
 */
export class CallStream {
  readonly #stream: Http2Stream;
  #chunks: Buffer[] = [];
  #answered = false;
  #status: { readonly code: number; readonly message: string } | undefined;
  #httpStatus: number | undefined;
  #ended = false;
  #outcome: { readonly error?: unknown } | undefined;
  #wake: (() => void) | undefined;

  /** @param onClosed called once, when nothing of the call is left on the connection */
  constructor(open: (events: StreamEvents) => Http2Stream, onClosed: () => void) {
    this.#stream = open({
      headers: (headers) => this.#readHeaders(headers),
      data: (chunk) => this.#take(chunk),
      ended: () => {
        this.#ended = true;
        if (this.#status) this.#settle(undefined, undefined);
      },
      closed: (code, error) => {
        this.#settle(code, error);
        onClosed();
      },
    });
  }

  /** True when {@link read} would not have to wait. */
  get ready(): boolean {
    return this.#chunks.length > 0;
  }

  /** Sends one framed message. */
  send(frame: Uint8Array): void {
    this.#stream.write(frame);
  }

  /** Sends the last framed message. */
  end(frame: Uint8Array): void {
    this.#stream.end(frame);
  }

  /**
   * What has arrived since the last call, waiting for at least one chunk; undefined when the call has ended well. The server
   * is made to wait while much of it is not asked for.
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
    let bytes = 0;
    for (const chunk of chunks) bytes += chunk.length;
    this.#stream.consumed(bytes);
    return chunks;
  }

  /** Ends the call from our side: what has not been read is dropped, and a reader gets `error`. */
  fail(error: unknown): void {
    this.#outcome ??= { error };
    this.#chunks = [];
    this.#wake?.();
    this.#stream.cancel(errorCode.cancel);
  }

  #take(chunk: Buffer): void {
    if (this.#outcome) return;
    this.#chunks.push(chunk);
    this.#wake?.();
  }

  #readHeaders(headers: ReadonlyMap<string, string>): void {
    const httpStatus = headers.get(':status');
    // 1xx only says that it takes time.
    if (httpStatus?.startsWith('1')) return;
    this.#answered = true;
    if (httpStatus !== undefined) this.#httpStatus = Number(httpStatus);
    const code = headers.get('grpc-status');
    if (code === undefined) return;
    // A code that is none must not pass for 0, as an empty text would.
    const known = /^\d{1,3}$/.test(code) ? Number(code) : grpcStatus.unknown;
    this.#status = { code: known, message: decodeGrpcMessage(headers.get('grpc-message') ?? '') };
  }

  #settle(code: number | undefined, error: unknown): void {
    if (this.#outcome) return;
    this.#outcome = this.#judge(code, error);
    this.#wake?.();
  }

  #judge(code: number | undefined, cause: unknown): { readonly error?: unknown } {
    const status = this.#status;
    if (status && status.code !== 0) return { error: new GrpcError(status.code, status.message) };
    if (status && this.#ended) return {};
    if (code === errorCode.refusedStream) return { error: new NotSentError('Call refused by the store', { cause }) };
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200)
      return { error: new ProtocolError(`Answer has HTTP status ${this.#httpStatus}: this is no etcd`, { cause }) };
    const when = this.#answered ? 'in the middle of an answer' : 'before an answer';
    return { error: new UnavailableError(`Connection lost ${when}`, { cause }) };
  }
}
