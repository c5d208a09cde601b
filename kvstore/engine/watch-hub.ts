import type { EngineEvent, EngineWatcher, WatchRequest, WatchSink } from '../contract/index.ts';
import type { Backend } from './backend.ts';
import type { Change, Row } from './row.ts';
import { RangeIndex } from './range-index.ts';
import { Span } from './span.ts';
import { Pace } from './steps.ts';
import { turns } from './turns.ts';

/** Bytes that a sink is handed at once, as far as revisions can be told apart; then it may say that it has enough. */
const handedBytes = 1024 ** 2;

/**
 * Hands commits to watchers. A watcher is *synced* (gets each commit as it happens), *behind* (reads history in slices
 * until it has reached the present) or *paused*. Because the step from behind to synced happens in one turn, and commits
 * are delivered in another, nothing is missed and nothing comes twice. Watchers of the same range and filters get the
 * same array, so that a server may encode it once.
 */
export class WatchHub {
  readonly #backend: Backend;
  readonly #onSinkError: (error: unknown) => void;
  readonly #groups = new Map<string, Group>();
  readonly #byRange = new RangeIndex<Group>();
  readonly #watchers = new Set<Watcher>();
  /** All synced watchers have what they wanted up to here. */
  #delivered: number;
  #closed = false;

  constructor(backend: Backend, onSinkError: (error: unknown) => void) {
    this.#backend = backend;
    this.#delivered = backend.revision;
    this.#onSinkError = onSinkError;
  }

  add(request: WatchRequest, sink: WatchSink): EngineWatcher {
    const start = request.startRevision ?? 0;
    const next = start > 0 ? start : this.#backend.revision + 1;
    const watcher = new Watcher(this, request, sink, next);
    if (this.#closed) return watcher;
    this.#watchers.add(watcher);
    if (next > this.#backend.revision) this.join(watcher);
    else this.catchUp(watcher);
    return watcher;
  }

  get size(): number {
    return this.#watchers.size;
  }

  /** Costs what the watchers of the changed keys cost, however many others there are. */
  deliver(changes: readonly Change[], revision: number): void {
    const touched = new Map<Group, EngineEvent[]>();
    for (const change of changes)
      for (const group of this.#byRange.at(change.row.kv.key)) {
        const event = group.selector.event(change.row, () => this.#before(change));
        if (!event) continue;
        const events = touched.get(group);
        if (events) events.push(event);
        else touched.set(group, [event]);
      }
    for (const [group, events] of touched) {
      const parts = inParts(events, revision);
      for (const watcher of group.watchers) this.#hand(watcher, parts, revision);
    }
    this.#delivered = revision;
  }

  close(): void {
    this.#closed = true;
    for (const watcher of this.#watchers) watcher.cancel();
    this.#watchers.clear();
    this.#groups.clear();
  }

  join(watcher: Watcher): void {
    const key = watcher.selector.key;
    let group = this.#groups.get(key);
    if (!group) {
      group = { selector: watcher.selector, watchers: new Set() };
      this.#groups.set(key, group);
      this.#byRange.add(group.selector.span, group);
    }
    group.watchers.add(watcher);
    watcher.state = 'synced';
  }

  leave(watcher: Watcher): void {
    const group = this.#groups.get(watcher.selector.key);
    if (!group?.watchers.delete(watcher)) return;
    watcher.next = Math.max(watcher.next, this.#delivered + 1);
    if (group.watchers.size > 0) return;
    this.#groups.delete(watcher.selector.key);
    this.#byRange.delete(group.selector.span, group);
  }

  forget(watcher: Watcher): void {
    this.leave(watcher);
    this.#watchers.delete(watcher);
  }

  catchUp(watcher: Watcher): void {
    watcher.state = 'behind';
    const run = ++watcher.run;
    this.#laterSlice(watcher, run);
  }

  #laterSlice(watcher: Watcher, run: number): void {
    void turns.later(() => this.#slice(watcher, run), watcher.sink.owner);
  }

  #slice(watcher: Watcher, run: number): void {
    // A run that was paused, cancelled or replaced meanwhile does nothing.
    if (watcher.state !== 'behind' || watcher.run !== run || this.#closed) return;
    const { revision, compactRevision } = this.#backend;
    if (watcher.next < compactRevision) {
      watcher.cancel();
      this.#guard(watcher, () => watcher.sink.compacted(compactRevision));
      return;
    }
    const events: EngineEvent[] = [];
    let reached = revision;
    let last = 0;
    const pace = new Pace();
    let enough = false;
    let bytes = 0;
    for (const row of this.#backend.log(watcher.next)) {
      if (row.kv.modRevision > revision) break;
      if ((enough || bytes >= handedBytes) && row.kv.modRevision !== last) {
        reached = last;
        break;
      }
      enough ||= pace.looked(row);
      last = row.kv.modRevision;
      if (!watcher.selector.span.contains(row.kv.key)) continue;
      const event = watcher.selector.event(row, () => this.#backend.replacedBy(row));
      if (!event) continue;
      events.push(event);
      bytes += bytesOf(event);
    }
    watcher.next = Math.max(watcher.next, reached + 1);
    if (events.length > 0) this.#guard(watcher, () => watcher.sink.events(events, reached));
    if (watcher.state !== 'behind' || watcher.run !== run) return;
    // Between here and the next commit lies no other turn: from `next` on, commits are delivered as they happen.
    if (watcher.next > this.#backend.revision) this.join(watcher);
    else this.#laterSlice(watcher, run);
  }

  #hand(watcher: Watcher, parts: readonly Part[], revision: number): void {
    if (watcher.state !== 'synced' || revision < watcher.next) return;
    for (const part of parts) {
      const first = watcher.next;
      if (part.revision < first) continue;
      watcher.next = part.revision + 1;
      const { events } = part;
      const wanted =
        events[0] && events[0].kv.modRevision < first
          ? events.filter((event) => event.kv.modRevision >= first)
          : events;
      if (wanted.length > 0) this.#guard(watcher, () => watcher.sink.events(wanted, part.revision));
      // Enough for now: what is left it reads from history.
      if (watcher.state !== 'synced') return;
    }
    watcher.next = revision + 1;
  }

  /** What the change replaced, as it was before the change's whole revision; history may have forgotten it. */
  #before(change: Change): Row | undefined {
    let { replaced } = change;
    while (replaced && replaced.kv.modRevision === change.row.kv.modRevision)
      replaced = this.#backend.replacedBy(replaced);
    return replaced;
  }

  #guard(watcher: Watcher, call: () => void): void {
    try {
      call();
    } catch (error) {
      watcher.cancel();
      this.#onSinkError(error);
    }
  }
}

/** Events of whole revisions, up to `revision`. */
interface Part {
  readonly events: readonly EngineEvent[];
  readonly revision: number;
}

/** Cuts what one commit brought between revisions, where it is too much to be handed over at once. */
function inParts(events: readonly EngineEvent[], revision: number): readonly Part[] {
  const parts: Part[] = [];
  let start = 0;
  let bytes = 0;
  let last = 0;
  for (const [i, event] of events.entries()) {
    if (bytes >= handedBytes && event.kv.modRevision !== last) {
      parts.push({ events: events.slice(start, i), revision: last });
      start = i;
      bytes = 0;
    }
    bytes += bytesOf(event);
    last = event.kv.modRevision;
  }
  return [...parts, { events: start === 0 ? events : events.slice(start), revision }];
}

function bytesOf({ kv, prevKv }: EngineEvent): number {
  return kv.key.length + kv.value.length + (prevKv ? prevKv.key.length + prevKv.value.length : 0);
}

interface Group {
  readonly selector: Selector;
  readonly watchers: Set<Watcher>;
}

/** Which rows a watcher wants, and in what form. */
class Selector {
  readonly key: string;
  readonly span: Span;
  readonly #prevKv: boolean;
  readonly #noPut: boolean;
  readonly #noDelete: boolean;

  constructor(request: WatchRequest) {
    this.span = new Span(request);
    this.#prevKv = request.prevKv ?? false;
    this.#noPut = request.noPut ?? false;
    this.#noDelete = request.noDelete ?? false;
    const end = request.rangeEnd ? Buffer.from(request.rangeEnd).toString('hex') : '';
    const flags = `${this.#prevKv ? 1 : 0}${this.#noPut ? 1 : 0}${this.#noDelete ? 1 : 0}`;
    this.key = `${Buffer.from(request.key).toString('hex')}|${end}|${flags}`;
  }

  /** What it gets of a row in its span. */
  event(row: Row, before: () => Row | undefined): EngineEvent | undefined {
    if (row.deleted ? this.#noDelete : this.#noPut) return undefined;
    const fresh = !row.deleted && row.kv.version === 1;
    const previous = this.#prevKv && !fresh ? before() : undefined;
    const type = row.deleted ? 'delete' : 'put';
    return previous ? { type, kv: row.kv, prevKv: previous.kv } : { type, kv: row.kv };
  }
}

class Watcher implements EngineWatcher {
  readonly #hub: WatchHub;
  readonly selector: Selector;
  readonly sink: WatchSink;
  /** First revision that was not handed over yet; while synced the hub knows it better. */
  next: number;
  state: 'synced' | 'behind' | 'paused' | 'over' = 'behind';
  run = 0;

  constructor(hub: WatchHub, request: WatchRequest, sink: WatchSink, next: number) {
    this.#hub = hub;
    this.selector = new Selector(request);
    this.sink = sink;
    this.next = next;
  }

  get synced(): boolean {
    return this.state === 'synced';
  }

  pause(): void {
    if (this.state === 'over') return;
    this.#hub.leave(this);
    this.state = 'paused';
  }

  resume(): void {
    if (this.state === 'paused') this.#hub.catchUp(this);
  }

  cancel(): void {
    this.state = 'over';
    this.#hub.forget(this);
  }
}
