import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Logger } from '../log/index.ts';
import { ApiError } from './api-error.ts';
import { type Route, matchRoute } from './routes.ts';

export interface AnswerOptions {
  readonly log: Logger;
  /** Bodies beyond this many bytes are refused; 1 MiB unless told. */
  readonly maxBodyBytes?: number;
}

/** Ends a server whose streams `closing` ends. */
export function closeServer(server: Server, closing: AbortController): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    closing.abort(new DOMException('The server is closing', 'AbortError'));
    // What answers already may finish; what only waits is cut.
    server.closeIdleConnections();
    setImmediate(() => server.closeAllConnections());
  });
}

/** Answers one request by the route that it names; `closing` ends streams. */
export async function answer(
  options: AnswerOptions,
  routes: readonly Route[],
  request: IncomingMessage,
  response: ServerResponse,
  closing: AbortSignal,
): Promise<void> {
  const gone = new AbortController();
  const abort = (): void => gone.abort(new DOMException('The caller has gone', 'AbortError'));
  response.once('close', abort);
  closing.addEventListener('abort', abort, { once: true });
  try {
    const url = new URL(request.url ?? '/', 'http://socket');
    const found = matchRoute(routes, request.method ?? 'GET', url.pathname);
    if (found.type === 'unknown') throw new ApiError(404, 'NO_SUCH_ROUTE', `There is no ${url.pathname} here`);
    if (found.type === 'other-method')
      throw new ApiError(405, 'METHOD', `${url.pathname} takes ${found.methods.join(', ')}, not ${request.method}`);
    const body = await readBody(request, options.maxBodyBytes ?? 1 << 20);
    const { handler, params } = found;
    const result = await handler({ params, query: url.searchParams, body, signal: gone.signal });
    if (result === undefined) response.writeHead(204).end();
    else if (isStream(result)) await sendLines(response, result, gone.signal);
    else response.writeHead(200, { 'content-type': 'application/json' }).end(`${JSON.stringify(result)}\n`);
  } catch (error) {
    if (gone.signal.aborted) response.destroy();
    else {
      if (!(error instanceof ApiError))
        options.log.error('A request failed', {
          route: `${request.method} ${request.url}`,
          error,
        });
      sendError(response, error);
    }
  } finally {
    response.off('close', abort);
    closing.removeEventListener('abort', abort);
  }
}

async function readBody(request: IncomingMessage, max: number): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > max) throw new ApiError(413, 'BODY_TOO_LARGE', `The body is larger than ${max} bytes`);
    chunks.push(chunk);
  }
  if (size === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    throw new ApiError(400, 'BAD_JSON', 'The body is not JSON', { cause: error });
  }
}

async function sendLines(response: ServerResponse, values: AsyncIterable<unknown>, signal: AbortSignal): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  for await (const value of values) {
    if (signal.aborted) break;
    if (response.write(`${JSON.stringify(value)}\n`)) continue;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        response.off('drain', done).off('close', done);
        resolve();
      };
      response.on('drain', done).on('close', done);
    });
  }
  // A stream that was broken off must not look like one that has come to its end.
  if (signal.aborted) response.destroy();
  else response.end();
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}

export function sendError(response: ServerResponse, error: unknown): void {
  const { status, code } = error instanceof ApiError ? error : { status: 500, code: codeOf(error) };
  const body = JSON.stringify({ error: { message: messageOf(error), code } });
  // Once a stream has begun its status is out: the last line carries the error.
  if (response.headersSent) response.end(`${body}\n`);
  else response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(`${body}\n`);
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function codeOf(error: unknown): string {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : 'INTERNAL';
}
