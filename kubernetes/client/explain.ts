import type { SourceFailure } from '../objects/index.ts';
import { ApiError, isExpired } from './api-error.ts';
import { type Resource, ruleFor } from './resources.ts';
import { UnreadableChangeError } from './watch.ts';

/** Why a resource cannot be read, and what would cure it. */
export interface Explained {
  readonly reason: string;
  readonly hint?: string;
  /** It will not pass by itself: somebody has to do something. */
  readonly lasting: boolean;
}

export function explain(error: unknown, resource: Resource): Explained {
  const reason = messageOf(error);
  if (!(error instanceof ApiError)) return { reason, lasting: false };
  switch (error.status) {
    case 401:
      return {
        reason,
        hint: 'The token or certificate is wrong or has expired; it is read again before each attempt',
        lasting: true,
      };
    case 403:
      return { reason, hint: `Add the rule ${ruleFor(resource)} to our ClusterRole`, lasting: true };
    case 404:
      return {
        reason: `The API server serves no ${resource.plural} of ${resource.group === '' ? 'v1' : resource.versions.map((version) => `${resource.group}/${version}`).join(' or ')}`,
        hint:
          resource.kind === 'ServiceExport'
            ? 'Install the definitions (CRD) of the MCS API, or leave --clustermesh-enable-mcs-api out'
            : 'Install its definition (CRD)',
        lasting: true,
      };
    default:
      return { reason, lasting: false };
  }
}

const failures: Readonly<Record<number, SourceFailure>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not-found',
  429: 'throttled',
};

/** The same in one word. */
export function failureOf(error: unknown): SourceFailure {
  if (isExpired(error)) return 'expired';
  if (error instanceof ApiError) return failures[error.status] ?? 'refused';
  return error instanceof UnreadableChangeError || error instanceof SyntaxError ? 'unreadable' : 'unreachable';
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // An AggregateError of a refused connection says nothing by itself.
  const [first] = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return error.message || (first instanceof Error ? first.message : error.name);
}
