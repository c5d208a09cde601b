import {
  CompactedError,
  FutureRevisionError,
  type KeyValue,
  PermissionDeniedError,
  ProtocolError,
} from '../contract/index.ts';
import { entriesOf, parseJson, toKeyValue } from './entry.ts';
import type { ConsulHttp, ConsulReply } from './http/index.ts';
import { isMark, kvPath, markName } from './keys.ts';
import { ListingScanner, type RawEntry } from './scan/index.ts';

/**
 * Whatever is not a blocking query asks for this: in the default mode a server that has just come up, or has just become
 * leader, answers before it has caught up with its own log, and what it has not read yet looks deleted.
 */
const consistent = 'consistent';

export interface ReadSettings {
  readonly what: string;
  readonly signal?: AbortSignal | undefined;
}

/** `X-Consul-Index` of an answer. @throws {ProtocolError} where there is none. */
export function indexOf(reply: ConsulReply, what: string): number {
  const index = Number(reply.headers['x-consul-index']);
  if (!Number.isSafeInteger(index))
    throw new ProtocolError(`Cannot ${what}: the answer has no X-Consul-Index, so it is no Consul that answers`);
  return index;
}

/** One key, and the index of the answer: of the whole key-value table where the key is absent. */
export async function readKey(
  http: ConsulHttp,
  key: string,
  settings: ReadSettings,
): Promise<{ readonly entry: KeyValue | undefined; readonly index: number }> {
  const { what } = settings;
  const reply = await http.call({
    method: 'GET',
    path: kvPath(key, consistent),
    what,
    signal: settings.signal,
    repeatable: true,
    accept: [200, 404],
  });
  const index = indexOf(reply, what);
  if (reply.status === 404) return { entry: undefined, index };
  const [entry] = entriesOf(parseJson(reply.text, what), what);
  return { entry: entry && toKeyValue(entry), index };
}

/** The index of the key-value table now, as the answer for a key that nobody has. */
export async function tableIndex(http: ConsulHttp, settings: ReadSettings): Promise<number> {
  const { what, signal } = settings;
  const path = kvPath(`none${markName}`, consistent);
  const reply = await http.call({ method: 'GET', path, what, signal, repeatable: true, accept: [200, 404] });
  return http.saw(indexOf(reply, what));
}

/** Names of all keys under a prefix, in byte order. */
export async function keysUnder(
  http: ConsulHttp,
  prefix: string,
  settings: ReadSettings,
  mode: 'consistent' | 'stale' = consistent,
): Promise<{ readonly keys: readonly string[]; readonly index: number }> {
  const { what, signal } = settings;
  const path = kvPath(prefix, `keys&${mode}`);
  const reply = await http.call({ method: 'GET', path, what, signal, repeatable: true, accept: [200, 404] });
  const index = indexOf(reply, what);
  refuseFiltered(reply, what);
  const names = namesOf(reply, reply.text, what);
  const keys = names.filter((name) => !isMark(name));
  if (keys.length === names.length) await proveReadable(http, prefix, reply, settings);
  return { keys, index };
}

/** As {@link keysUnder}, with our own keys, when something has changed beyond an index. */
export async function followNames(
  http: ConsulHttp,
  prefix: string,
  after: { readonly index: number; readonly waitMs: number },
  settings: ReadSettings,
): Promise<{ readonly names: readonly string[]; readonly index: number }> {
  const { what, signal } = settings;
  const path = kvPath(prefix, `keys&index=${after.index}&wait=${after.waitMs}ms`);
  const request = { method: 'GET', path, what, signal, accept: [200, 404], answerTimeoutMs: answerMs(after) } as const;
  const { reply, text } = await http.once(request, async (head, chunks) => {
    const parts: Buffer[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    return { reply: head, text: Buffer.concat(parts).toString('utf8') };
  });
  refuseFiltered(reply, what);
  const names = namesOf(reply, text, what);
  if (!names.includes(prefix + markName)) await proveReadable(http, prefix, reply, settings);
  return { names, index: indexOf(reply, what) };
}

function namesOf(reply: ConsulReply, text: string, what: string): readonly string[] {
  const names = reply.status === 404 ? [] : parseJson(text, what);
  if (!Array.isArray(names) || !names.every((name) => typeof name === 'string'))
    throw new ProtocolError(`Cannot ${what}: the answer is no list of names`);
  return names;
}

/** Consul adds up to a sixteenth to the wait. */
function answerMs({ waitMs }: { readonly waitMs: number }): number {
  return waitMs * 1.0625 + 5000;
}

export interface PrefixRequest extends ReadSettings {
  readonly prefix: string;
  /** Called for each key, marks included; starts over if the answer is asked for again. */
  readonly begin: () => (entry: RawEntry) => void;
  /** Waits for an index beyond this one. */
  readonly after?: { readonly index: number; readonly waitMs: number };
}

/** One snapshot of a prefix; returns its index once the answer is complete and shown to be whole. */
export async function readPrefix(http: ConsulHttp, request: PrefixRequest): Promise<number> {
  const { prefix, what, signal, after } = request;
  const parameters = after ? `recurse&index=${after.index}&wait=${after.waitMs}ms` : `recurse&${consistent}`;
  let marked = false;
  const consume = async (reply: ConsulReply, chunks: AsyncIterable<Buffer>): Promise<ConsulReply> => {
    refuseFiltered(reply, what);
    const onEntry = request.begin();
    const scanner = new ListingScanner((entry) => {
      if (entry.key === prefix + markName) marked = true;
      onEntry(entry);
    });
    for await (const chunk of chunks) if (reply.status === 200) scanner.push(chunk);
    if (reply.status === 200) scanner.end();
    return reply;
  };
  const base = { method: 'GET', path: kvPath(prefix, parameters), what, signal, accept: [200, 404] } as const;
  const reply = after
    ? await http.once({ ...base, answerTimeoutMs: answerMs(after) }, consume)
    : await http.receive({ ...base, repeatable: true }, consume);
  if (!marked) await proveReadable(http, prefix, reply, request);
  return indexOf(reply, what);
}

/** A reading at an older revision can be had only as long as nothing has changed since. */
export async function checkRevision(
  http: ConsulHttp,
  asked: number | undefined,
  found: number,
  settings: ReadSettings,
): Promise<void> {
  if (asked === undefined || asked === 0) return;
  if (asked > http.revision && asked > (await tableIndex(http, settings)))
    throw new FutureRevisionError(`Cannot ${settings.what}: revision ${asked} does not exist yet`);
  if (asked < found) throw new CompactedError(settings.what, found);
}

function refuseFiltered(reply: ConsulReply, what: string): void {
  if (reply.headers['x-consul-results-filtered-by-acls'] === 'true')
    throw new PermissionDeniedError(`Cannot ${what}: some of it may not be read with this token`);
}

/**
 * Under a policy that denies by default, what may not be read looks absent, to the anonymous even without a header. A
 * single key that may not be read is refused, so one inside the prefix is asked for.
 */
async function proveReadable(
  http: ConsulHttp,
  prefix: string,
  reply: ConsulReply,
  settings: ReadSettings,
): Promise<void> {
  if (reply.headers['x-consul-default-acl-policy'] !== 'deny') return;
  const { what, signal } = settings;
  await http.call({
    method: 'GET',
    path: kvPath(prefix + markName),
    what,
    signal,
    repeatable: true,
    accept: [200, 404],
  });
}
