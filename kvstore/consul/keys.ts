import { type Bytes, InvalidRequestError, ProtocolError } from '../contract/index.ts';

/**
 * Name of the key inside each watched prefix that holds a random number: another number means another store. Keys that
 * end so are ours, and shown to nobody.
 */
export const markName = '.isthmus-incarnation';

/** Name of the folder, inside the first element of a key's path, whose keys tell the last changes of our writers. */
export const journalName = '.isthmus-journal/';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** What Go's `unicode.IsPrint` refuses; Consul answers 400 to a path with it. */
const unprintable = /[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/u;
/** Consul cleans its paths: `a//b` would be read as `a/b`. */
const cleaned = /\/\/|(?:^|\/)\.{1,2}(?:\/|$)/;
/** It answers `invalid key name` to outer spaces, and to spaces that it sees by decoding a key that has a percent sign. */
const spaces = /^ | $|%20|%.* | .*%/;

/** A key as Consul takes it. @throws {InvalidRequestError} for what Consul cannot hold or would take for another key. */
export function keyText(key: Bytes): string {
  const text = prefixText(key);
  if (text === '') throw new InvalidRequestError('A key must not be empty');
  if (isMark(text)) throw new InvalidRequestError(`Key ${JSON.stringify(text)} is reserved`);
  return text;
}

/** As {@link keyText}; may be empty, which means all keys. */
export function prefixText(prefix: Bytes): string {
  let text: string;
  try {
    text = typeof prefix === 'string' ? prefix : decoder.decode(prefix);
  } catch (error) {
    throw new InvalidRequestError('Consul holds keys of UTF-8 text only', { cause: error });
  }
  if (!text.isWellFormed() || unprintable.test(text) || cleaned.test(text) || spaces.test(text))
    throw new InvalidRequestError(
      `Consul cannot hold keys such as ${JSON.stringify(text)}: control characters, empty parts, "." and "..", outer spaces are refused`,
    );
  return text;
}

/** Whether a key is one of ours: an incarnation key, or a part of a journal. */
export function isMark(key: string): boolean {
  return key.endsWith(markName) || isJournal(key);
}

/** The first element of a key's path with its slash: where the journal of a key is kept. Empty where there is none. */
export function scopeOf(key: string): string {
  return key.slice(0, key.indexOf('/') + 1);
}

function isJournal(key: string): boolean {
  const scope = key.indexOf('/') + 1;
  return key.charCodeAt(scope) === 0x2e && key.startsWith(journalName, scope);
}

/** `kv/…` with the key as one encoded element. */
export function kvPath(key: string, parameters = ''): string {
  return `kv/${encodeURIComponent(key)}${parameters === '' ? '' : `?${parameters}`}`;
}

/** A session id as the contract's number: all 128 bits. */
export function leaseOfSession(session: string | undefined): bigint {
  if (session === undefined || session === '') return 0n;
  if (!/^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(session))
    throw new ProtocolError('Answer of Consul has a session that is no UUID');
  return BigInt(`0x${session.replaceAll('-', '')}`);
}

export function sessionOfLease(lease: bigint): string {
  const hex = lease.toString(16).padStart(32, '0');
  if (lease < 0n || hex.length > 32) throw new InvalidRequestError('A lease of Consul has 128 bits');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
