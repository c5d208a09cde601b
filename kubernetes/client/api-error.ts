import type { ApiAnswer } from './api-server.ts';
import { readText } from './body.ts';

/** An answer of the API server that is not a success: the `Status` object that it carries (Kubernetes API conventions). */
export class ApiError extends Error {
  readonly code = 'KUBERNETES_API';
  readonly status: number;
  /** One word: `Expired`, `Forbidden`, …; empty when the server gave none. */
  readonly reason: string;
  /** How long the server wants to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(operation: string, facts: StatusFacts & { readonly status: number; readonly retryAfterMs?: number }) {
    super(`Cannot ${operation}: ${facts.message} (${facts.status}${facts.reason === '' ? '' : ` ${facts.reason}`})`);
    this.name = 'ApiError';
    this.status = facts.status;
    this.reason = facts.reason;
    this.retryAfterMs = facts.retryAfterMs;
  }
}

interface StatusFacts {
  readonly reason: string;
  readonly message: string;
}

/** True when what was asked for, a resourceVersion or the rest of a listing, is no longer known: list again. */
export function isExpired(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 410 || error.reason === 'Expired' || error.reason === 'Gone');
}

/** What an answer that is no success says. @param operation as `list pods`. */
export async function errorOf(operation: string, answer: ApiAnswer): Promise<ApiError> {
  const text = await readText(answer.body, 64 * 1024).catch(() => '');
  const { status, retryAfterMs } = answer;
  return new ApiError(operation, {
    status,
    ...factsOfText(text),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** An `ERROR` event of a watch carries the same object. */
export function errorOfStatus(operation: string, object: unknown): ApiError {
  const code = (object as { code?: unknown } | null)?.code;
  return new ApiError(operation, { status: typeof code === 'number' ? code : 500, ...factsOf(object) });
}

function factsOfText(text: string): StatusFacts {
  try {
    return factsOf(JSON.parse(text));
  } catch {
    return { reason: '', message: text.trim().slice(0, 200) || 'no reason given' };
  }
}

function factsOf(object: unknown): StatusFacts {
  const { reason, message } = (object ?? {}) as { reason?: unknown; message?: unknown };
  return {
    reason: typeof reason === 'string' ? reason : '',
    message: typeof message === 'string' && message !== '' ? message : 'no reason given',
  };
}
