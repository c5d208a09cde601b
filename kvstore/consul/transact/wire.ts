import { randomInt } from 'node:crypto';
import { InvalidRequestError, LeaseNotFoundError, PermissionDeniedError, ProtocolError } from '../../contract/index.ts';
import { type ConsulEntry, isConsulEntry, parseJson } from '../entry.ts';
import type { ConsulHttp } from '../http/index.ts';
import { sessionOfLease } from '../keys.ts';
import { maxValueBytes } from './prepare.ts';

/** One operation of `/v1/txn`. */
export interface WireOperation {
  readonly Verb:
    | 'cas'
    | 'set'
    | 'lock'
    | 'unlock'
    | 'delete'
    | 'delete-cas'
    | 'get-or-empty'
    | 'check-index'
    | 'check-not-exists'
    | 'check-session';
  readonly Key: string;
  readonly Value?: string;
  readonly Flags?: number;
  readonly Index?: number;
  readonly Session?: string;
}

export type Outcome =
  | { readonly committed: true; readonly results: readonly ConsulEntry[] }
  /** Some check did not hold; nothing was written. */
  | { readonly committed: false; readonly what: string };

export interface SubmitSettings {
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
  readonly readOnly?: boolean;
}

const conflict =
  /index is stale|exists|doesn't exist|already held|isn't held|session check|current modify index|lock delay|failed to (?:un)?lock/i;

/**
 * Consul takes a put that changes nothing for none at all: no new index, nobody is woken. The number of a put in its
 * flags makes each one a change, as the contract wants it.
 */
let lastFlags = randomInt(2 ** 31);
export function nextFlags(): number {
  lastFlags += 1;
  return lastFlags;
}

export function put(
  key: string,
  value: Uint8Array,
): { readonly Key: string; readonly Value: string; readonly Flags: number } {
  return { Key: key, Value: Buffer.from(value).toString('base64'), Flags: nextFlags() };
}

export function sizeOf(operations: readonly WireOperation[]): number {
  return Buffer.byteLength(bodyOf(operations));
}

/** Sends operations as one transaction. Results hold an entry for each key that is there, in no order to rely on. */
export async function submit(
  http: ConsulHttp,
  operations: readonly WireOperation[],
  settings: SubmitSettings,
): Promise<Outcome> {
  const { what, signal, readOnly = false } = settings;
  const body = bodyOf(operations);
  if (Buffer.byteLength(body) > maxValueBytes)
    throw new InvalidRequestError(
      `Cannot ${what}: Consul takes transactions of up to ${maxValueBytes} bytes with values in base64`,
    );
  const reply = await http.call({
    method: 'PUT',
    path: readOnly ? 'txn?consistent' : 'txn',
    body,
    what,
    signal,
    repeatable: readOnly,
    accept: [200, 409],
  });
  const answer = parseJson(reply.text, what) as { readonly Results?: unknown; readonly Errors?: unknown } | null;
  if (reply.status === 409) return refused(answer?.Errors, what);
  const results = (Array.isArray(answer?.Results) ? answer.Results : []).map((result: unknown) => {
    const entry = (result as { readonly KV?: unknown } | null)?.KV;
    if (!isConsulEntry(entry)) throw new ProtocolError(`Cannot ${what}: the answer has results of no known kind`);
    return entry;
  });
  return { committed: true, results };
}

function bodyOf(operations: readonly WireOperation[]): string {
  return JSON.stringify(operations.map((operation) => ({ KV: operation })));
}

function refused(errors: unknown, what: string): Outcome {
  const texts = (Array.isArray(errors) ? errors : []).map((error: unknown) => {
    const text = (error as { readonly What?: unknown } | null)?.What;
    return typeof text === 'string' ? text : '';
  });
  const said = `Cannot ${what}: ${texts.join('; ')}`;
  if (texts.some((text) => /permission denied/i.test(text))) throw new PermissionDeniedError(said);
  if (texts.some((text) => /invalid session/i.test(text))) throw new LeaseNotFoundError(said);
  if (texts.length === 0 || !texts.every((text) => conflict.test(text))) throw new InvalidRequestError(said);
  return { committed: false, what: texts.join('; ') };
}

/** The state of keys at one moment; each is in the answer, as undefined where it is absent. */
export async function readKeys(
  http: ConsulHttp,
  keys: readonly string[],
  settings: SubmitSettings,
): Promise<Map<string, ConsulEntry | undefined>> {
  const operations = keys.map((key): WireOperation => ({ Verb: 'get-or-empty', Key: key }));
  const outcome = await submit(http, operations, { ...settings, readOnly: true });
  if (!outcome.committed) throw new ProtocolError(`Cannot ${settings.what}: a reading was refused: ${outcome.what}`);
  const found = new Map<string, ConsulEntry | undefined>();
  for (const entry of outcome.results) {
    found.set(entry.Key, entry.ModifyIndex === 0 ? undefined : entry);
    http.saw(entry.ModifyIndex);
  }
  // What may not be read is left out without a word.
  const hidden = keys.find((key) => !found.has(key));
  if (hidden !== undefined)
    throw new PermissionDeniedError(`Cannot ${settings.what}: key ${JSON.stringify(hidden)} may not be read`);
  return found;
}

export function lockOf(key: string, value: Uint8Array, lease: bigint): WireOperation {
  return { Verb: 'lock', Session: sessionOfLease(lease), ...put(key, value) };
}
