import { type Logger, fields } from '../../runtime/log/index.ts';
import { linkedController } from '../../runtime/tasks/index.ts';
import { type RowObserver, WatchStore, toBytes } from '../../kvstore/index.ts';
import { type AddressRules, RecordRefusedError, refusalCodeOf } from '../acceptance/index.ts';
import type { ClusterContent } from '../remembered/index.ts';
import type { ServiceTable } from '../services/index.ts';
import type { MeshView, MeshWriter } from '../view/index.ts';
import { type Layout, type RemoteOrigin, syncedName, watchPrefix } from '../wire/index.ts';
import { requireNode, requireService, requireSlice } from './accept.ts';
import type { FeedSource } from './feed-source.ts';
import { type KindSink, type RemoteKind, contentOf, kindSinks } from './kinds.ts';
import { notedRows } from './noted-rows.ts';
import type { Refusals } from './refusals.ts';
import { SetsAwaitedError } from './sets-awaited.ts';
import type { SyncMarks } from './sync-marks.ts';
import type { SyncSlots } from './sync-slots.ts';

/** Where the records of a cluster are, and which of them are read. Another value of any of these makes other feeds. */
export interface FeedsOptions {
  readonly origin: RemoteOrigin;
  readonly layout: Layout;
  readonly kinds: readonly RemoteKind[];
}

export interface FeedsDeps {
  readonly view: MeshView;
  readonly services: ServiceTable;
  readonly slots: SyncSlots;
  readonly source: FeedSource;
  readonly refusals: Refusals;
  readonly rules: () => AddressRules;
  /** Asked when something has gone: whether that was a deletion. */
  readonly mayRemove: () => boolean;
  readonly log: Logger;
  /** Called with the number of records that came, changed or went. */
  readonly changed: (count: number) => void;
  /** Called when a kind was listed completely. */
  readonly listed: () => void;
}

interface Feed {
  readonly kind: RemoteKind;
  readonly watch: WatchStore;
  /** What is kept as rows counts itself. */
  readonly rows: RowObserver | undefined;
  /** Other keys of which nothing is in use: their values were refused, or say so themselves. */
  readonly barren: Set<string>;
  /** Listed completely on the present connection. */
  synced: boolean;
  /** Given back when the listing is complete. */
  slot: Disposable | undefined;
  /** Lists anew, on the present connection. */
  again: (() => void) | undefined;
}

/** What is read of one cluster, kind by kind: decoded, checked, and taken over or refused. */
export class Feeds {
  readonly options: FeedsOptions;
  readonly #deps: FeedsDeps;
  readonly #mesh: MeshWriter;
  readonly #all: readonly Feed[];
  /** Of the present connection. */
  #canaries: SyncMarks | undefined;

  constructor(options: FeedsOptions, deps: FeedsDeps) {
    this.options = options;
    this.#deps = deps;
    const { origin } = options;
    this.#mesh = deps.view.writer(origin);
    const { services } = deps;
    const { cluster } = origin;
    const sinks = kindSinks(origin, this.#mesh, services.remote(cluster), services.remoteSlices(cluster), deps.rules);
    this.#all = options.kinds.map((kind) => this.#feed(kind, sinks[kind]));
  }

  /** Every kind was listed on the present connection. */
  get synced(): boolean {
    return this.#all.every(({ synced }) => synced);
  }

  /** What was not read yet on the present connection; undefined once all was. */
  get awaited(): SetsAwaitedError | undefined {
    const { origin, layout } = this.options;
    const isMarked = (kind: RemoteKind): boolean => this.#canaries?.has(syncedName(kind, layout)) ?? true;
    const sets = this.#all
      .filter(({ synced }) => !synced)
      .map(({ kind }) => ({ name: kind === 'ip' ? 'endpoints' : kind, unmarked: !isMarked(kind) }));
    return sets.length === 0 ? undefined : new SetsAwaitedError(origin.cluster, sets);
  }

  /** Undefined for a kind that is not read. */
  isSynced(kind: RemoteKind): boolean | undefined {
    return this.#find(kind)?.synced;
  }

  /** Records that are in use. */
  size(kind: RemoteKind): number {
    const feed = this.#find(kind);
    return feed ? (feed.rows?.size ?? feed.watch.size - feed.barren.size) : 0;
  }

  /** Takes a record over that was known before. Only while nothing is followed. */
  assume(kind: string, key: string, value: string): void {
    const bytes = kind === 'endpointslices' ? Buffer.from(value, 'latin1') : toBytes(value);
    this.#find(kind)?.watch.assume(key, bytes);
  }

  /** What the cluster tells, as its store would hold it. */
  content(): ClusterContent['kinds'] {
    const { cluster } = this.options.origin;
    const { view, services } = this.#deps;
    return contentOf(view.saidBy(cluster), [...services.offeredBy(cluster)], [...services.slicesOf(cluster)]);
  }

  /** A connection begins: nothing was listed on it. */
  begin(): void {
    for (const feed of this.#all) feed.synced = false;
  }

  /** One task for each kind, until it aborts. With `canaries` a kind is read once its canary was seen. */
  tasks(canaries: SyncMarks | undefined): readonly ((signal: AbortSignal) => Promise<void>)[] {
    this.#canaries = canaries;
    return this.#all.map((feed) => (signal) => this.#follow(feed, canaries, signal));
  }

  /** Lists everything anew, on the present connection. */
  listAgain(): void {
    for (const feed of this.#all) feed.again?.();
  }

  /** Withdraws everything. Only while nothing is followed. */
  drain(): void {
    for (const { watch } of this.#all) watch.drain();
    this.#deps.refusals.forget();
  }

  /** Withdraws everything of the kinds that `others` do not read. Only while nothing is followed. */
  drainUnless(others: readonly RemoteKind[]): void {
    for (const { kind, watch } of this.#all) if (!others.includes(kind)) watch.drain();
  }

  /**
   * Withdraws what the present rules no longer let in. Kinds of which something went, and with `looser` those of which
   * something was refused by rules before, are listed anew: only the store knows the values.
   */
  revise(looser: boolean): void {
    const { refusals } = this.#deps;
    const withdrawn = new Set(this.#withdraw());
    for (const feed of this.#all)
      if (withdrawn.has(feed.kind) || (looser && refusals.byRules(feed.kind))) feed.again?.();
  }

  *#withdraw(): Generator<RemoteKind, void, void> {
    const { view, services, rules } = this.#deps;
    const now = rules();
    const { cluster } = this.options.origin;
    for (const { prefix, problem } of this.#mesh.refusedIps(now)) {
      this.#refuse(
        'ip',
        prefix.replace(/\/(32|128)$/, ''),
        new RecordRefusedError(problem, 'IP', now.expected(problem), prefix),
      );
      this.#mesh.removeIp(prefix);
      yield 'ip';
    }
    for (const node of view.saidBy(cluster).nodes)
      if (this.#refuses('nodes', node.name, () => requireNode(node, now))) {
        this.#mesh.removeNode(node.name);
        this.#find('nodes')?.barren.add(node.name);
        yield 'nodes';
      }
    const writer = services.remote(cluster);
    for (const service of services.offeredBy(cluster)) {
      const key = `${service.namespace}/${service.name}`;
      if (!this.#refuses('services', key, () => requireService(service, now))) continue;
      writer.remove(key);
      this.#find('services')?.barren.add(key);
      yield 'services';
    }
    const sliceWriter = services.remoteSlices(cluster);
    for (const slice of services.slicesOf(cluster)) {
      const key = `${slice.namespace}/${slice.name}`;
      if (!this.#refuses('endpointslices', key, () => requireSlice(slice, now))) continue;
      sliceWriter.remove(key);
      this.#find('endpointslices')?.barren.add(key);
      yield 'endpointslices';
    }
  }

  #refuses(kind: RemoteKind, key: string, check: () => void): boolean {
    try {
      check();
      return false;
    } catch (error) {
      this.#refuse(kind, key, error);
      return true;
    }
  }

  #feed(kind: RemoteKind, sink: KindSink): Feed {
    const { source, refusals, mayRemove, log, changed, listed } = this.#deps;
    const { origin, layout } = this.options;
    const feed: Feed = {
      kind,
      synced: false,
      slot: undefined,
      again: undefined,
      rows: sink.rows,
      barren: new Set(),
      watch: new WatchStore({
        store: source,
        prefix: watchPrefix(kind, origin.cluster, layout),
        log,
        mayRemove,
        observer: {
          ...this.#rowsOf(kind, sink),
          upsert: (key, value) => {
            this.#upsert(kind, sink, key, value);
            if (sink.has(key)) feed.barren.delete(key);
            else feed.barren.add(key);
          },
          remove: (key) => {
            changed(1);
            feed.barren.delete(key);
            refusals.clear(kind, key);
            sink.remove(key);
          },
          restart: () => refusals.listing(kind),
          synced: () => {
            feed.slot?.[Symbol.dispose]();
            feed.slot = undefined;
            feed.synced = true;
            listed();
          },
        },
      }),
    };
    return feed;
  }

  #rowsOf(kind: RemoteKind, { rows }: KindSink): { readonly rows?: RowObserver } {
    const { refusals, changed } = this.#deps;
    return rows ? { rows: notedRows({ kind, rows, refusals, changed }) } : {};
  }

  #upsert(kind: RemoteKind, sink: KindSink, key: string, value: Uint8Array): void {
    this.#deps.changed(1);
    try {
      sink.upsert(key, value);
      this.#deps.refusals.clear(kind, key);
    } catch (error) {
      this.#refuse(kind, key, error);
    }
  }

  #refuse(kind: RemoteKind, key: string, error: unknown): void {
    const { refusals, log } = this.#deps;
    const reason = error instanceof Error ? error.message : String(error);
    const code = refusalCodeOf(error);
    const wasFull = refusals.full;
    if (refusals.note({ kind, key, code, reason }))
      log.warn('A record of a remote cluster is refused', { kind, [fields.key]: key, code, reason });
    if (!wasFull && refusals.full)
      log.warn('More records of a remote cluster may be refused: from now on they are counted, not named', { code });
  }

  async #follow(feed: Feed, canaries: SyncMarks | undefined, signal: AbortSignal): Promise<void> {
    await canaries?.present(syncedName(feed.kind, this.options.layout), signal);
    while (!signal.aborted) await this.#list(feed, signal);
  }

  /** Lists and follows until `signal` aborts, or somebody asks for another listing. */
  async #list(feed: Feed, signal: AbortSignal): Promise<void> {
    using run = linkedController(signal);
    feed.again = () => run.abort(new DOMException('To be listed anew', 'AbortError'));
    try {
      using slot = await this.#deps.slots.acquire(run.signal);
      feed.slot = slot;
      await feed.watch.run(run.signal);
    } catch (error) {
      if (!run.signal.aborted || signal.aborted) throw error;
    } finally {
      feed.again = undefined;
      feed.slot = undefined;
    }
  }

  #find(kind: string): Feed | undefined {
    return this.#all.find((feed) => feed.kind === kind);
  }
}
