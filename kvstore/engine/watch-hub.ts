import type { EngineEvent, EngineWatcher, WatchRequest, WatchSink } from '../contract/index.ts';
import type { Backend } from './backend.ts';
import type { Change, Row } from './row.ts';
import { type Group, gather } from './gather.ts';
import { RangeIndex } from './range-index.ts';
import { Pace, type Steps } from './steps.ts';
import { turns } from './turns.ts';
import { Watcher, type WatcherHome } from './watcher.ts';

/** Watchers that a commit is handed to at once, those of other ranges counting more; the others read it from history, in turns. */
const handedAtOnce = 2_000;
/** What a range of its own costs beside its watchers: their events are encoded for it. */
const costOfRange = 3;
/** So many bytes count as a watcher more: whoever serves copies them for each. */
const bytesOfWatcher = 128 * 1024;
/** Bytes that a sink is handed at once, as far as revisions can be told apart; then it may say that it has enough. */
const handedBytes = 1024 ** 2;

/**
 * Hands commits to watchers. A watcher is *synced* (gets each commit as it happens), *behind* (reads history in slices
 * until it has reached the present) or *paused*. Because the step from behind to synced happens in one turn, and commits
 * are delivered in another, nothing is missed and nothing comes twice. Watchers of the same range and filters get the
 * same array, so that a server may encode it once.
 */
export class WatchHub implements WatcherHome {
  readonly #backend: Backend;
  readonly #onError: (error: unknown) => unknown;
  readonly #groups = new Map<string, Group>();
  readonly #byRange = new RangeIndex<Group>();
  readonly #watchers = new Set<Watcher>();
  /** Those that are behind, by whom they are for. */
  readonly #behind = new Map<unknown, Behind[]>();
  /** All synced watchers have what they wanted up to here. */
  #delivered: number;
  #closed = false;

  /** @param onError told when a watcher is over because its events cannot be read, or because it threw; gives what it is told */
  constructor(backend: Backend, onError: (error: unknown) => unknown) {
    this.#backend = backend;
    this.#delivered = backend.revision;
    this.#onError = onError;
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

  /** Costs what the watchers of the changed keys cost, however many others there are, and of those only so much at once. */
  deliver(changes: readonly Change[], revision: number): void {
    const failed = new Map<Group, unknown>();
    const { events: touched, late } = gather(changes, {
      groupsAt: (key) => this.#byRange.at(key),
      groups: () => this.#groups.values(),
      maxGroups: Math.ceil(handedAtOnce / costOfRange),
      eventOf: (change, group) => this.#eventOf(change, group, failed),
    });
    for (const group of late) this.#postpone(group);
    let cost = 0;
    for (const [group, error] of failed) {
      touched.delete(group);
      for (const watcher of group.watchers) this.#fail(watcher, error);
    }
    for (const [group, events] of touched) {
      if (cost >= handedAtOnce) {
        this.#postpone(group);
        continue;
      }
      const weight = 1 + Math.floor(events.reduce((sum, event) => sum + bytesOf(event), 0) / bytesOfWatcher);
      cost += costOfRange + group.watchers.size * weight;
      const parts = inParts(events, revision);
      let handed = 0;
      for (const watcher of group.watchers) {
        if (handed >= handedAtOnce) this.#fallsBehind(watcher);
        else this.#hand(watcher, parts, revision);
        handed += weight;
      }
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
    // One that is behind knows better itself how far it is.
    if (watcher.state === 'synced') watcher.next = Math.max(watcher.next, this.#delivered + 1);
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
    this.#sliceLater({ watcher, run: ++watcher.run });
  }

  /** Its watchers were not handed what was just committed. */
  #postpone(group: Group): void {
    for (const watcher of group.watchers) this.#fallsBehind(watcher);
  }

  /** It stays in its group, which hands it nothing until it is back. */
  #fallsBehind(watcher: Watcher): void {
    if (watcher.state !== 'synced') return;
    watcher.next = Math.max(watcher.next, this.#delivered + 1);
    this.catchUp(watcher);
  }

  #sliceLater(behind: Behind): void {
    const { owner } = behind.watcher.sink;
    const others = this.#behind.get(owner);
    if (others) return void others.push(behind);
    this.#behind.set(owner, [behind]);
    void this.#catchUpAll(owner);
  }

  /** Not before the call that made a watcher has returned. */
  async #catchUpAll(owner: unknown): Promise<void> {
    await turns.later(() => undefined, owner);
    await turns.take(this.#slices(owner), { owner });
  }

  *#slices(owner: unknown): Steps<void> {
    for (let queue = this.#behind.get(owner) ?? []; queue.length > 0; queue = this.#behind.get(owner) ?? []) {
      this.#behind.set(owner, []);
      for (const { watcher, run } of queue) {
        // One at a time has a revision half read, since it may be of any size.
        do {
          try {
            this.#slice(watcher, run);
          } catch (error) {
            this.#fail(watcher, error);
          }
          yield 1;
        } while (watcher.begun);
      }
    }
    this.#behind.delete(owner);
  }

  #slice(watcher: Watcher, run: number): void {
    // A run that was paused, cancelled or replaced meanwhile does nothing.
    if (watcher.state !== 'behind' || watcher.run !== run || this.#closed) {
      watcher.begun = undefined;
      return;
    }
    const { revision, compactRevision } = this.#backend;
    if (watcher.next < compactRevision) {
      watcher.cancel();
      this.#guard(watcher, () => watcher.sink.compacted(compactRevision));
      return;
    }
    const begun = watcher.begun?.revision === watcher.next ? watcher.begun : undefined;
    watcher.begun = undefined;
    let events: EngineEvent[] = begun?.events ?? [];
    let reached = revision;
    let last = begun?.revision ?? 0;
    /** Where the events of revision `last` begin. */
    let first = 0;
    const pace = new Pace();
    let enough = false;
    let bytes = 0;
    for (const row of this.#backend.log(watcher.next, begun?.sub)) {
      const { modRevision } = row.kv;
      if (modRevision > revision) break;
      if (enough || bytes >= handedBytes) {
        reached = modRevision === last ? last - 1 : last;
        if (modRevision !== last) break;
        // Nothing is copied where the revision is all there is.
        watcher.begun = { revision: last, sub: row.sub, events: first === 0 ? events : events.slice(first) };
        events = first === 0 ? [] : events.slice(0, first);
        break;
      }
      enough ||= pace.looked(row);
      if (modRevision !== last) first = events.length;
      last = modRevision;
      if (!watcher.selector.span.contains(row.kv.key)) continue;
      const event = watcher.selector.event(row, () => this.#backend.replacedBy(row));
      if (!event) continue;
      events.push(event);
      bytes += bytesOf(event);
    }
    watcher.next = Math.max(watcher.next, reached + 1);
    if (events.length > 0) this.#guard(watcher, () => watcher.sink.events(events, reached));
    if (watcher.state !== 'behind' || watcher.run !== run) {
      watcher.begun = undefined;
      return;
    }
    // Between here and the next commit lies no other turn: from `next` on, commits are delivered as they happen.
    if (watcher.next > this.#backend.revision) this.join(watcher);
    else if (!watcher.begun) this.#sliceLater({ watcher, run });
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

  #eventOf(change: Change, group: Group, failed: Map<Group, unknown>): EngineEvent | undefined {
    try {
      return group.selector.event(change.row, () => this.#before(change));
    } catch (error) {
      failed.set(group, error);
      return undefined;
    }
  }

  /** It has lost an event, and must not be given a later one. */
  #fail(watcher: Watcher, error: unknown): void {
    if (watcher.state === 'over') return;
    watcher.cancel();
    const told = this.#onError(error);
    this.#guard(watcher, () => watcher.sink.failed(told));
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
      if (watcher.state === 'over') this.#onError(error);
      else this.#fail(watcher, error);
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

/** A watcher that reads history, and which of its runs this is. */
interface Behind {
  readonly watcher: Watcher;
  readonly run: number;
}
