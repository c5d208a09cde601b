import type { EngineEvent, EngineWatcher, WatchRequest, WatchSink } from '../contract/index.ts';
import type { Row } from './row.ts';
import { Span } from './span.ts';

/** Who looks after watchers. */
export interface WatcherHome {
  /** Hands it nothing that is committed from now on. */
  leave(watcher: Watcher): void;
  catchUp(watcher: Watcher): void;
  forget(watcher: Watcher): void;
}

/** Which rows a watcher wants, and in what form. */
export class Selector {
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

/** A revision of which the rows before `sub` were looked at. Its events are handed over as a whole. */
export interface Begun {
  readonly revision: number;
  readonly sub: number;
  readonly events: EngineEvent[];
}

export class Watcher implements EngineWatcher {
  readonly #home: WatcherHome;
  readonly selector: Selector;
  readonly sink: WatchSink;
  /** First revision that was not handed over yet; while synced the hub knows it better. */
  next: number;
  /** What was read of revision {@link next}, which is too large to be read at once. */
  begun: Begun | undefined;
  state: 'synced' | 'behind' | 'paused' | 'over' = 'behind';
  run = 0;

  constructor(home: WatcherHome, request: WatchRequest, sink: WatchSink, next: number) {
    this.#home = home;
    this.selector = new Selector(request);
    this.sink = sink;
    this.next = next;
  }

  get synced(): boolean {
    return this.state === 'synced';
  }

  pause(): void {
    if (this.state === 'over') return;
    this.#home.leave(this);
    this.state = 'paused';
  }

  resume(): void {
    if (this.state === 'paused') this.#home.catchUp(this);
  }

  cancel(): void {
    this.state = 'over';
    this.begun = undefined;
    this.#home.forget(this);
  }
}
