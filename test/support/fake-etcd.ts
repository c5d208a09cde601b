import { type Http2Server, type ServerHttp2Session, type ServerHttp2Stream, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';

/** What the fake does with a call: whatever it likes. The request's messages are `body`, as far as they have come. */
export type FakeAnswer = (call: FakeCall) => void;

export interface FakeCall {
  readonly path: string;
  readonly stream: ServerHttp2Stream;
  /** Sends the headers of an answer. */
  respond(): void;
  /** Ends it as gRPC does. */
  end(status?: number, message?: string): void;
  /** Sends `chunk` for as long as the other end takes it, and gives way in between. */
  flood(chunk: () => Uint8Array): void;
}

/** Speaks HTTP/2 as etcd does, and says nothing sensible. */
export class FakeEtcd implements AsyncDisposable {
  readonly #server: Http2Server;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Bytes that floods have brought to their streams so far. */
  flooded = 0;
  calls = 0;

  constructor(answer: FakeAnswer) {
    this.#server = createServer();
    this.#server.on('session', (session) => {
      this.#sessions.add(session);
      session.on('error', () => undefined);
      session.once('close', () => this.#sessions.delete(session));
    });
    this.#server.on('sessionError', () => undefined);
    this.#server.on('stream', (stream, headers) => {
      this.calls += 1;
      stream.on('error', () => undefined);
      // Headers behind the body are asked for when the answer begins, and sent when its end is reached.
      let trailers: Record<string, string> | undefined;
      stream.on('wantTrailers', () => {
        if (!stream.destroyed) stream.sendTrailers(trailers ?? {});
      });
      answer({
        path: String(headers[':path']),
        stream,
        respond: () => {
          if (stream.headersSent || stream.destroyed) return;
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        },
        end: (status = 0, message = '') => {
          trailers = { 'grpc-status': `${status}`, 'grpc-message': message };
          if (!stream.destroyed) stream.end();
        },
        flood: (chunk) => {
          const more = (): void => {
            for (let i = 0; i < 16 && !stream.destroyed; i++) {
              const bytes = chunk();
              this.flooded += bytes.length;
              if (stream.write(bytes)) continue;
              stream.once('drain', more);
              return;
            }
            if (!stream.destroyed) setImmediate(more);
          };
          more();
        },
      });
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const session of this.#sessions) session.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }
}

export async function startFakeEtcd(answer: FakeAnswer): Promise<FakeEtcd> {
  const fake = new FakeEtcd(answer);
  await fake.listen();
  return fake;
}
