import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2';
import {
  type Decoded,
  type Encodable,
  FrameReader,
  type Method,
  decode,
  decodeGrpcMessage,
  encodeFrame,
  methods,
} from '../../kvstore/etcd/wire/index.ts';

/** What a call gave: gRPC code and text, and the answer when there was one. */
export interface RawAnswer<T> {
  readonly code: number;
  readonly message: string;
  readonly response: T | undefined;
}

export type WatchResponse = Decoded<typeof methods.watch.response>;

export interface RawEtcdOptions {
  readonly windowBytes?: number;
  /** PEM. Cleartext unless given. */
  readonly tls?: { readonly ca: string; readonly cert?: string; readonly key?: string };
}

/** An etcd API as it is on the wire, nothing retried and nothing hidden: for comparing servers. */
export class RawEtcd implements AsyncDisposable {
  readonly session: ClientHttp2Session;

  constructor(port: number, options: RawEtcdOptions = {}) {
    const settings = options.windowBytes === undefined ? {} : { initialWindowSize: options.windowBytes };
    this.session = connect(`${options.tls ? 'https' : 'http'}://127.0.0.1:${port}`, { settings, ...options.tls });
    this.session.on('error', () => undefined);
  }

  async call<Out, In>(method: Method<unknown, In, Out, never>, request: In): Promise<RawAnswer<Out>> {
    const answer = await this.bytes(method.path, encodeFrame(method.request, request));
    const [first] = answer.messages;
    return {
      code: answer.code,
      message: answer.message,
      response: first === undefined ? undefined : decode(method.response, first),
    };
  }

  /** Sends `body` to `path` and gives whatever came back. */
  bytes(
    path: string,
    body: Uint8Array,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly code: number; readonly message: string; readonly messages: readonly Uint8Array[] }> {
    const stream = this.open(path, headers);
    const frames = new FrameReader({ maxBytes: 2 ** 31 });
    const messages: Uint8Array[] = [];
    stream.on('data', (chunk: Buffer) => messages.push(...frames.push(chunk).map((message) => message.slice())));
    stream.end(body);
    return status(stream).then((end) => ({ ...end, messages }));
  }

  open(path: string, headers: Readonly<Record<string, string>> = {}): ClientHttp2Stream {
    return this.session.request({
      ...headers,
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    });
  }

  /** A stream of watches; `take` gets each answer as it comes. */
  watch(take: (response: WatchResponse) => void): RawWatch {
    return new RawWatch(this.open(methods.watch.path), take);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return new Promise((resolve) => {
      if (this.session.destroyed) return resolve();
      this.session.once('close', () => resolve());
      this.session.destroy();
    });
  }
}

export class RawWatch {
  readonly stream: ClientHttp2Stream;
  /** How the server ended the stream. */
  readonly ended: Promise<{ readonly code: number; readonly message: string }>;

  constructor(stream: ClientHttp2Stream, take: (response: WatchResponse) => void) {
    this.stream = stream;
    const frames = new FrameReader({ maxBytes: 2 ** 31 });
    stream.on('data', (chunk: Buffer) => {
      for (const message of frames.push(chunk)) take(decode(methods.watch.response, message.slice()));
    });
    this.ended = status(stream);
  }

  send(request: Encodable<typeof methods.watch.request>): void {
    this.stream.write(encodeFrame(methods.watch.request, request));
  }
}

/** The status a stream ends with; −1 when it ended without one. */
function status(stream: ClientHttp2Stream): Promise<{ readonly code: number; readonly message: string }> {
  let code = -1;
  let message = '';
  const take = (headers: Readonly<Record<string, unknown>>): void => {
    if (headers['grpc-status'] === undefined) return;
    code = Number(headers['grpc-status']);
    message = decodeGrpcMessage(typeof headers['grpc-message'] === 'string' ? headers['grpc-message'] : '');
  };
  stream.on('response', take);
  stream.on('trailers', take);
  stream.on('error', (error) => (message ||= error.message));
  return new Promise((resolve) => stream.once('close', () => resolve({ code, message })));
}
