import { once } from 'node:events';
import { connect } from 'node:net';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields, silentLogger } from '../../runtime/log/index.ts';
import { type Schedule, exponential } from '../../runtime/retry/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import { objectId } from '../manifests/collect.ts';
import {
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesSource,
  kubernetesKinds,
  mayDescribe,
} from '../objects/index.ts';
import { maxLineBytes, parseLine } from './line-protocol.ts';
import { RefusedLines } from './refused-lines.ts';

export interface StreamSourceOptions {
  /** Path of the Unix socket that `serveSource` (or anybody who speaks its format) listens on. */
  readonly socket: string;
  /** What is followed; what the server says of other kinds is passed over. Those of mode `kubernetes` unless told. */
  readonly kinds?: readonly KubernetesKind[];
  readonly clock: Clock;
  readonly log?: Logger;
  readonly schedule?: Schedule;
}

interface Known {
  readonly kind: KubernetesKind;
  readonly namespace: string;
  readonly name: string;
  /** Number of the connection that said it last. */
  connection: number;
}

/**
 * Follows a served source and reconnects by itself. After a reconnection the server says everything again; what it does
 * not say before a kind's `synced` comes as deletes then, never earlier.
 */
export function streamSource(options: StreamSourceOptions): KubernetesSource {
  const { kinds = kubernetesKinds } = options;
  const refused = new RefusedLines(kinds);
  const state: StreamState = { failure: '' };
  return {
    description: `stream:${options.socket}`,
    kinds,
    watch: (signal) => follow(options, refused, state, signal),
    problems: () => refused.problems(),
    unread: () => (state.failure === '' ? [] : [{ object: `stream ${options.socket}`, reason: state.failure }]),
  };
}

interface StreamState {
  /** Why the source is not heard at present; empty while it is. */
  failure: string;
}

async function* follow(
  options: StreamSourceOptions,
  refused: RefusedLines,
  state: StreamState,
  signal: AbortSignal,
): AsyncGenerator<KubernetesEvent, void, void> {
  const {
    kinds = kubernetesKinds,
    clock,
    log = silentLogger,
    schedule = exponential({ firstMs: 100, maxMs: 5_000 }),
  } = options;
  const known = new Map<string, Known>();
  const announced = new Set<KubernetesKind>();
  for (let connection = 1, failures = 0; !signal.aborted; connection++) {
    refused.connect();
    try {
      for await (const event of events(options, refused, log, signal)) {
        failures = 0;
        state.failure = '';
        if (!kinds.includes(kindOf(event))) continue;
        if (event.type === 'synced') {
          yield* goneOf(known, event.kind, connection, refused);
          if (!announced.has(event.kind)) yield event;
          announced.add(event.kind);
          refused.listed(event.kind);
          continue;
        }
        remember(known, event, connection);
        yield event;
        refused.replaced(event);
      }
      throw new Error('The source closed the connection');
    } catch (error) {
      if (signal.aborted || isAbort(error, signal)) return;
      failures++;
      state.failure = error instanceof Error ? error.message : String(error);
      const delayMs = schedule(failures, Math.random());
      log.warn('Cannot follow the source of Kubernetes objects', {
        [fields.endpoint]: options.socket,
        [fields.error]: error,
        [fields.delayMs]: Math.round(delayMs),
      });
      try {
        await clock.sleep(delayMs, signal);
      } catch (aborted) {
        if (isAbort(aborted, signal)) return;
        throw aborted;
      }
    }
  }
}

function kindOf(event: KubernetesEvent): KubernetesKind {
  return event.type === 'upsert' ? event.object.kind : event.kind;
}

function remember(
  known: Map<string, Known>,
  event: Exclude<KubernetesEvent, { readonly type: 'synced' }>,
  connection: number,
): void {
  const { kind, namespace, name } =
    event.type === 'upsert' ? { kind: event.object.kind, ...event.object.metadata } : event;
  const id = objectId(kind, namespace, name);
  if (event.type === 'upsert') known.set(id, { kind, namespace, name, connection });
  else known.delete(id);
}

function* goneOf(
  known: Map<string, Known>,
  kind: KubernetesKind,
  connection: number,
  refused: RefusedLines,
): Generator<KubernetesEvent> {
  for (const [id, entry] of known) {
    if (entry.kind !== kind || entry.connection === connection) continue;
    // It may be in a line that could not be read: the version before stays.
    if (mayDescribe(refused.problems(), entry)) continue;
    known.delete(id);
    yield { type: 'delete', kind, namespace: entry.namespace, name: entry.name };
  }
}

/** Events of one connection, until it ends. A line that says nonsense is reported and left out. */
async function* events(
  options: StreamSourceOptions,
  refused: RefusedLines,
  log: Logger,
  signal: AbortSignal,
): AsyncGenerator<KubernetesEvent, void, void> {
  const socket = connect(options.socket);
  const abort = (): void => void socket.destroy();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await once(socket, 'connect', { signal });
    let greeted = false;
    for await (const text of lines(socket)) {
      let line: ReturnType<typeof parseLine>;
      try {
        line = parseLine(text);
      } catch (error) {
        if (!greeted) throw new Error(`${options.socket} does not serve Kubernetes objects`, { cause: error });
        log.warn('An object of the source was skipped', { [fields.error]: error });
        refused.add(text, error);
        continue;
      }
      if (line.type === 'event') yield line.event;
      greeted = true;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
}

async function* lines(chunks: AsyncIterable<Buffer>): AsyncGenerator<string, void, void> {
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let from = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      const line = Buffer.concat([...waiting, chunk.subarray(from, end)]).toString('utf8');
      waiting = [];
      size = 0;
      from = end + 1;
      if (line !== '') yield line;
    }
    waiting.push(chunk.subarray(from));
    size += chunk.length - from;
    if (size > maxLineBytes) throw new RangeError(`A line of the source is longer than ${maxLineBytes} bytes`);
  }
}
