import {
  InvalidRequestError,
  type KvStoreError,
  LeaseNotFoundError,
  NoSpaceError,
  PermissionDeniedError,
  UnavailableError,
} from '../../contract/index.ts';

/** The call took no effect, so that even a write may be repeated. */
export class NotAppliedError extends UnavailableError {}

/** The agent has too many connections of this client: another one is none the better for it. */
export class CrowdedError extends NotAppliedError {}

/**
 * The error of the contract for an answer that is none of those the caller expects. Consul tells conditions apart by
 * its texts only (`agent/http.go`, `agent/structs/errors.go`).
 * @param what names operation and object
 * @param tokenOrigin where the token comes from that may not be good enough
 */
export function statusError(status: number, text: string, what: string, tokenOrigin: string): KvStoreError {
  const said = `Cannot ${what}: ${firstLine(text) || `status ${status}`}`;
  if (status === 401 || status === 403 || /permission denied|acl not found/i.test(text))
    return new PermissionDeniedError(`${said.replace(/\.$/, '')}; ${tokenOrigin}`);
  if (namesSession(text)) return new LeaseNotFoundError(said);
  if (status === 429) return new CrowdedError(said);
  if (/no cluster leader|no known consul servers|not ready to serve consistent reads/i.test(text))
    return new NotAppliedError(said);
  if (/no space left/i.test(text)) return new NoSpaceError(said);
  if (/must be between|missing node registration|invalid key name/i.test(text)) return new InvalidRequestError(said);
  if (status >= 500) return new UnavailableError(said);
  return new InvalidRequestError(said);
}

/** Whether Consul says that there is no such session. */
export function namesSession(text: string): boolean {
  return /invalid session|session id .* not found/i.test(text);
}

function firstLine(text: string): string {
  return text.trim().split('\n', 1)[0]?.slice(0, 300) ?? '';
}
