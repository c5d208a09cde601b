import { type ClientRequest, type IncomingMessage, request as requestHttp } from 'node:http';
import { type RequestOptions as HttpsOptions, request as requestHttps } from 'node:https';
import type { Clock } from '../../runtime/clock/index.ts';
import type { ApiAnswer, RequestOptions } from './api-server.ts';

export interface Outgoing {
  readonly server: string;
  readonly method: string;
  readonly path: string;
  readonly credentials: HttpsOptions;
}

/** One request over HTTP/1.1; nothing is read before the reader asks for it. */
export async function send(outgoing: Outgoing, options: RequestOptions, clock: Clock): Promise<ApiAnswer> {
  const { signal, body, idleMs } = options;
  signal.throwIfAborted();
  const url = new URL(outgoing.server.replace(/\/+$/, '') + outgoing.path);
  const text = body === undefined ? undefined : JSON.stringify(body);
  const ask = url.protocol === 'http:' ? requestHttp : requestHttps;
  const request = ask(url, {
    ...outgoing.credentials,
    method: outgoing.method,
    headers: {
      ...tidy(outgoing.credentials.headers),
      accept: 'application/json',
      'user-agent': 'isthmus',
      ...(text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
    },
  });
  const abort = (): void => void request.destroy(asError(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  request.once('close', () => signal.removeEventListener('abort', abort));
  // A server that has gone without a word is noticed although a watch may be silent for minutes.
  request.once('socket', (socket) => socket.setKeepAlive(true, 10_000));
  request.end(text);
  const response = await head(request, () => idleTimer(request, clock, idleMs));
  const after = Number(response.headers['retry-after']);
  return {
    status: response.statusCode ?? 0,
    ...(Number.isFinite(after) && after > 0 ? { retryAfterMs: after * 1_000 } : {}),
    body: chunks(response, () => idleTimer(request, clock, idleMs)),
    [Symbol.dispose]: () => {
      if (!response.complete) request.destroy();
    },
  };
}

/** A token that was read from a file may end with a line break. */
function tidy(headers: HttpsOptions['headers']): Record<string, string> {
  return Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value).trim()]));
}

function head(request: ClientRequest, arm: () => Disposable): Promise<IncomingMessage> {
  const timer = arm();
  return new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', (response) => {
      timer[Symbol.dispose]();
      // An error after the last read would have nobody to hear it.
      response.on('error', () => undefined);
      resolve(response);
    });
    request.on('error', (error) => {
      timer[Symbol.dispose]();
      reject(error);
    });
  });
}

/** Time counts only while the reader waits: a slow reader is no sign of a dead server. */
async function* chunks(response: IncomingMessage, arm: () => Disposable): AsyncGenerator<Buffer, void, void> {
  const reading = response[Symbol.asyncIterator]();
  try {
    for (;;) {
      const timer = arm();
      let next: IteratorResult<Buffer>;
      try {
        next = (await reading.next()) as IteratorResult<Buffer>;
      } finally {
        timer[Symbol.dispose]();
      }
      if (next.done) break;
      yield next.value;
    }
    if (!response.complete) throw new Error('The connection ended in the middle of an answer');
  } finally {
    if (!response.complete) response.destroy();
  }
}

function idleTimer(request: ClientRequest, clock: Clock, idleMs: number): Disposable {
  return clock.timer(idleMs, () =>
    request.destroy(new Error(`The API server has said nothing for ${Math.round(idleMs / 1_000)} s`)),
  );
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new DOMException(String(reason), 'AbortError');
}
