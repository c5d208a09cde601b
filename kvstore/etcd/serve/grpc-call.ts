import { type ServerHttp2Stream, constants } from 'node:http2';
import type { Reader } from '../../contract/index.ts';
import { encodeGrpcMessage, grpcStatus } from '../wire/index.ts';
import type { Client } from './client.ts';
import { Debt } from './debt.ts';
import { RequestBytes } from './request-bytes.ts';

/** What a call ends with when it does not end well. */
export class GrpcFailure extends Error {
  readonly grpcCode: number;

  constructor(grpcCode: number, message: string) {
    super(message);
    this.name = 'GrpcFailure';
    this.grpcCode = grpcCode;
  }
}

/** What Node holds of a piece that is not taken, besides its bytes: 350 to 380 bytes, measured with Node 24. */
const heldPerPiece = 384;
/** … and of a call that is answered and whose answer is not taken: 5 KB, and some outside of its heap. */
const heldPerAnswer = 8 * 1024;
/** … and of a byte that has come and is not read: the buffers that it came in are larger. */
const heldPerByte = 2;

/** The answering side of one gRPC call. Source of the format: grpc/doc/PROTOCOL-HTTP2.md, "Responses". */
export class GrpcCall {
  readonly stream: ServerHttp2Stream;
  readonly client: Client;
  readonly requests: RequestBytes;
  readonly #debt: Debt;
  /** Bytes of an answer that is being made. */
  #making = 0;
  readonly #holds = new Set<string>();
  #begun = false;
  #finished = false;
  #trailers: Record<string, string> = {};

  /** @param kind whether it is answered once, or pushes what happens */
  constructor(stream: ServerHttp2Stream, client: Client, kind: 'answer' | 'push') {
    this.stream = stream;
    this.client = client;
    this.#debt = new Debt(client, kind);
    this.requests = new RequestBytes(client, stream);
    stream.once('close', () => {
      this.#debt.forgive();
      client.server.held.delete(this);
    });
  }

  /** True while an answer may still be written. */
  get open(): boolean {
    return !this.#finished && !this.stream.destroyed && !this.stream.closed;
  }

  /** Bytes given to `send` that the client has not made room for yet. */
  get unsentBytes(): number {
    return this.#debt.bytes;
  }

  /** Calls `paid` whenever {@link unsentBytes} has become less. */
  onPaid(paid: () => void): void {
    this.#debt.onPaid = paid;
  }

  /** Reads no more requests until each `reason` has been given up. */
  hold(reason: string): void {
    if (this.#holds.size === 0) {
      this.stream.pause();
      this.client.server.held.add(this);
    }
    this.#holds.add(reason);
  }

  goOn(reason: string): void {
    if (!this.#holds.delete(reason) || this.#holds.size > 0 || this.stream.destroyed) return;
    this.client.server.held.delete(this);
    this.requests.waiting(0);
    this.stream.resume();
  }

  /** Of a client that goes on sending without reading beyond what it may, the call is broken off: an answer it would not take. */
  lookAtWaiting(): void {
    try {
      this.requests.waiting(this.stream.readableLength * heldPerByte);
    } catch {
      this.stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
    }
  }

  /** Sends the response headers, if they are not sent yet. */
  begin(): void {
    if (this.#begun || !this.open) return;
    this.#begun = true;
    this.stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity' },
      { waitForTrailers: true },
    );
    this.stream.once('wantTrailers', () => {
      if (this.stream.destroyed) return;
      this.stream.sendTrailers(this.#trailers);
      this.#dropRequest();
    });
  }

  send(frame: Uint8Array): void {
    if (!this.open) return;
    this.begin();
    const bytes = frame.length + heldPerPiece;
    this.#debt.add(bytes);
    this.stream.write(frame, () => this.#debt.pay(bytes));
  }

  /** For the engine. What an answer holds while it is made counts as given already. */
  get reader(): Reader {
    return { owner: this.client.tally, took: (bytes) => this.#took(bytes) };
  }

  /** Bytes that the answer has so far. */
  get makingBytes(): number {
    return this.#making;
  }

  #took(bytes: number): void {
    if (!this.open) throw new GrpcFailure(grpcStatus.cancelled, 'isthmus: nobody waits for the answer any more');
    if (bytes === 0) return;
    const { maxAnswerBytes } = this.client.server.limits;
    this.#making += bytes;
    this.#debt.add(bytes);
    if (this.#making <= maxAnswerBytes) return;
    const text = `grpc: trying to send message larger than max (${this.#making} vs. ${maxAnswerBytes})`;
    throw new GrpcFailure(grpcStatus.resourceExhausted, text);
  }

  #made(): void {
    this.#debt.pay(this.#making);
    this.#making = 0;
  }

  /** The only answer of a unary call, in pieces. */
  reply(frame: readonly Uint8Array[]): void {
    if (!this.open) return;
    this.begin();
    this.#finished = true;
    this.#trailers = { 'grpc-status': '0' };
    this.#made();
    const last = frame.length - 1;
    this.#debt.add(frame.reduce((sum, piece) => sum + piece.length + heldPerPiece, heldPerAnswer));
    for (const [i, piece] of frame.entries()) {
      const paid = (): void => this.#debt.pay(piece.length + heldPerPiece + (i < last ? 0 : heldPerAnswer));
      if (i < last) this.stream.write(piece, paid);
      else this.stream.end(piece, paid);
    }
  }

  /** Ends the call. Before any answer this is one block of headers ("trailers-only"), which clients read as the status. */
  finish(code: number, message = ''): void {
    this.#made();
    if (!this.open) return;
    const status: Record<string, string> = { 'grpc-status': String(code) };
    if (message !== '') status['grpc-message'] = encodeGrpcMessage(message);
    if (this.#begun) {
      this.#trailers = status;
      this.#finished = true;
      this.stream.end();
    } else {
      this.#finished = true;
      this.stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...status }, { endStream: true });
      this.#dropRequest();
    }
  }

  /**
   * A client that has not ended its side is told that nobody listens any more, or the stream would stay half open. Only
   * after the status went out, which Node does at the end of this turn: closing earlier would drop it.
   */
  #dropRequest(): void {
    setImmediate(() => {
      if (!this.stream.readableEnded && !this.stream.destroyed) this.stream.close(constants.NGHTTP2_NO_ERROR);
    });
  }
}

/** Code and text of whatever a handler threw; `expected` is false for mistakes of ours. */
export function statusOf(error: unknown): { readonly code: number; readonly text: string; readonly expected: boolean } {
  const text = error instanceof Error ? error.message : String(error);
  // Failures of ours and the engine's carry their code (`GrpcFailure`, `EngineError`).
  const code = error instanceof Error && 'grpcCode' in error ? error.grpcCode : undefined;
  if (typeof code === 'number') return { code, text, expected: true };
  return { code: grpcStatus.internal, text: 'isthmus: internal error', expected: false };
}
