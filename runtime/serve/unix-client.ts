import { type IncomingMessage, request as httpRequest } from 'node:http';
import { abortReason } from '../tasks/index.ts';
import { ApiError, ApiUnreachableError } from './api-error.ts';

/** How long a process that is asked how it is may say nothing: more than a busy machine needs, less than a person would wait. */
export const hangsAfterMs = 10_000;

export interface UnixCall {
  /** GET unless told. */
  readonly method?: string;
  /** Path with query, `/v1/nodes?cluster=east`. */
  readonly route: string;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
  /** A process that says nothing for this long counts as one that does not answer; without it the call waits. */
  readonly silenceMs?: number;
}

/**
 * Asks a process at its control socket.
 * @throws {ApiError} when it refuses; {@link ApiUnreachableError} when nobody answers; the signal's reason when it aborts.
 */
export async function callUnixApi(path: string, call: UnixCall): Promise<unknown> {
  const response = await send(path, call);
  let text = '';
  for await (const part of textOf(path, call, response)) text += part;
  const value = parse(path, call, text);
  if ((response.statusCode ?? 0) >= 400) throw errorOf(path, response.statusCode ?? 0, value);
  return value;
}

/** As {@link callUnixApi}, for an answer of JSON lines. Ends with the answer; breaking off the loop ends the call. */
export async function* streamUnixApi(path: string, call: UnixCall): AsyncGenerator<unknown, void, void> {
  const response = await send(path, call);
  const status = response.statusCode ?? 0;
  let waiting = '';
  for await (const part of textOf(path, call, response)) {
    const lines = (waiting + part).split('\n');
    waiting = lines.pop() ?? '';
    for (const line of lines) {
      const value = parse(path, call, line);
      if (status >= 400 || isErrorBody(value)) throw errorOf(path, status >= 400 ? status : 500, value);
      if (value !== undefined) yield value;
    }
  }
}

function send(path: string, call: UnixCall): Promise<IncomingMessage> {
  const { method = 'GET', route, body, signal, silenceMs } = call;
  return new Promise((resolve, reject) => {
    const text = body === undefined ? undefined : JSON.stringify(body);
    const request = httpRequest({
      socketPath: path,
      path: route,
      method,
      agent: false,
      headers:
        text === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      ...(signal ? { signal } : {}),
      ...(silenceMs === undefined ? {} : { timeout: silenceMs }),
    });
    // A process that is stopped, or hangs, is connected to like any other.
    request.once('timeout', () => request.destroy(new Error(`it has said nothing for ${(silenceMs ?? 0) / 1000} s`)));
    request.once('response', resolve);
    request.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        signal?.aborted
          ? abortReason(signal)
          : new ApiUnreachableError(path, error.code ?? error.message, { cause: error }),
      ),
    );
    request.end(text);
  });
}

/** The body as it comes. A cut connection is an error, never a short answer. */
async function* textOf(path: string, call: UnixCall, response: IncomingMessage): AsyncGenerator<string, void, void> {
  response.setEncoding('utf8');
  try {
    for await (const part of response as AsyncIterable<string>) yield part;
  } catch (error) {
    if (call.signal?.aborted) throw abortReason(call.signal);
    throw new ApiUnreachableError(path, 'the process went away in the middle of its answer', { cause: error });
  } finally {
    response.destroy();
  }
}

function parse(path: string, call: UnixCall, text: string): unknown {
  if (text.trim() === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new ApiError(502, 'BAD_ANSWER', `${path} did not answer ${call.route} with JSON`, { cause: error });
  }
}

interface ErrorBody {
  readonly error: { readonly message?: unknown; readonly code?: unknown };
}

function isErrorBody(value: unknown): value is ErrorBody {
  if (typeof value !== 'object' || value === null || !('error' in value)) return false;
  return typeof value.error === 'object' && value.error !== null && 'message' in value.error && 'code' in value.error;
}

function errorOf(path: string, status: number, value: unknown): ApiError {
  if (!isErrorBody(value)) return new ApiError(status, 'UNKNOWN', `${path} answered ${status}`);
  return new ApiError(status, String(value.error.code), String(value.error.message));
}
