import { type Logger, fields } from '../../runtime/log/index.ts';
import { type PackedChanges, type Store, type WatchBatch, toBytes, toText } from '../../kvstore/index.ts';
import { type WentKey, suspects } from '../remote/index.ts';
import { type Layout, type Resource, watchPrefix } from '../wire/index.ts';
import type { AddressLimit } from './address-limit.ts';
import { cacheSuffix } from './cache-key.ts';
import type { CacheStep, CacheWriter } from './cache-writer.ts';
import { CopyTable } from './copy-table.ts';
import { Exclusive } from './exclusive.ts';
import { HeldRemovals } from './held-removals.ts';

/** Says whether what has gone in a remote store was deleted, or went with a lease. */
export interface RemovalJudge {
  /** Up to which revision of the remote store removals are to be believed now; undefined: none is. */
  believedFrom(signal: AbortSignal): Promise<number | undefined>;
  /** Whether a key went because its lease has ended. */
  wentWithLease(gone: WentKey, signal: AbortSignal): Promise<boolean>;
  /** Whether what a complete listing lacks was deleted. */
  believesListing(resource: Resource, revision: number, signal: AbortSignal): Promise<boolean>;
}

/** Where a set is copied from, on one connection. */
export interface RemoteSource {
  readonly store: Pick<Store, 'listAndWatch'>;
  readonly layout: Layout;
  readonly judge: RemovalJudge;
  /** A listing is complete and the local store has all of it. */
  readonly onListed: () => Promise<void>;
}

export interface ReflectorOptions {
  readonly cluster: string;
  readonly resource: Resource;
}

export interface ReflectorDeps {
  readonly local: Pick<Store, 'list'>;
  readonly writer: CacheWriter;
  readonly nowMs: () => number;
  /** Something has gone that nobody has deleted: {@link Reflector.settleHeld} is to be called from time to time. */
  readonly onHeld: () => void;
  /** Which keys are not to be copied; absent: all are. */
  readonly limit?: AddressLimit | undefined;
  readonly log: Logger;
}

/** A change of the remote, as it is to be carried out. */
interface Change extends CacheStep {
  readonly row: number;
}

/**
 * Copies one set of a remote cluster into the local cache, bit for bit: what the remote's store says, values unread. Nothing is removed
 * before a listing is complete. What is known of the local store survives connections.
 */
export class Reflector {
  readonly resource: Resource;
  readonly #deps: ReflectorDeps;
  readonly #log: Logger;
  readonly #cluster: string;
  readonly #localPrefix: Uint8Array;
  readonly #table = new CopyTable();
  readonly #held = new HeldRemovals();
  readonly #refusals = new Map<string, string>();
  /** The table and the local store change together: one change at a time. */
  readonly #exclusive = new Exclusive();
  #remotePrefix = '';
  #loaded = false;
  #synced = false;
  #pending = 0;
  #written = 0;

  constructor({ cluster, resource }: ReflectorOptions, deps: ReflectorDeps) {
    this.resource = resource;
    this.#cluster = cluster;
    this.#deps = deps;
    this.#localPrefix = toBytes(watchPrefix(resource, cluster, 'cache'));
    this.#log = deps.log.child({ resource });
  }

  /** The local store holds what a complete listing had, and what changed since. */
  get synced(): boolean {
    return this.#synced;
  }

  /** What the cache holds is known: until then nothing is counted. */
  get loaded(): boolean {
    return this.#loaded;
  }

  /** Keys in the cache. */
  get size(): number {
    return this.#table.size;
  }

  /** Keys that wait to be written. */
  get pending(): number {
    return this.#pending;
  }

  /** Keys written or removed so far. */
  get written(): number {
    return this.#written;
  }

  /** Keys that have gone in the remote store in a way that is no deletion. */
  get held(): number {
    return this.#held.size;
  }

  /** Keys that the local store cannot take, with the reason. */
  get refusals(): ReadonlyMap<string, string> {
    return this.#refusals;
  }

  /** A new connection: what was complete has to be seen again. */
  reset(): void {
    this.#synced = false;
  }

  /** Follows the remote's set until `signal` aborts or the connection fails. */
  async follow(source: RemoteSource, signal: AbortSignal): Promise<void> {
    await this.load(signal);
    this.#remotePrefix = watchPrefix(this.resource, this.#cluster, source.layout);
    for await (const batch of source.store.listAndWatch(this.#remotePrefix, { signal })) {
      await this.#exclusive.run(() => this.#take(batch, source.judge, signal));
      if (batch.type === 'synced') await source.onListed();
    }
  }

  /**
   * Removes what may be copied no more. The operator has said so, so it goes whatever the remote says, there or not; what is allowed
   * anew comes with the next listing.
   */
  async enforce(signal: AbortSignal): Promise<void> {
    const { limit } = this.#deps;
    if (!limit?.due) return;
    await this.load(signal);
    await this.#exclusive.run(async () => {
      const rows = this.#table.rows().filter((row) => limit.refuses(this.#table.keyOf(row)));
      if (rows.length > 0)
        this.#log.warn('Removing copies that are no longer allowed to the remote cluster', {
          [fields.count]: rows.length,
        });
      await this.#removeRows(rows, signal);
      limit.settled();
    });
  }

  /** Empties the set: it is not to be copied (any more). */
  async clear(signal: AbortSignal): Promise<void> {
    await this.load(signal);
    await this.#exclusive.run(async () => {
      await this.#removeRows(this.#table.rows(), signal);
      this.#synced = true;
    });
  }

  /** Empties the set because its source has been away for too long; whoever reads it takes the absence for a deletion. */
  async revoke(signal: AbortSignal): Promise<number> {
    await this.load(signal);
    return await this.#exclusive.run(async () => {
      const rows = this.#table.rows();
      await this.#removeRows(rows, signal);
      return rows.length;
    });
  }

  /**
   * Carries out removals that were held back: those held for longer than `graceMs` (0: for ever), and of the others those that `isGone` finds
   * gone, where it is given.
   */
  async settleHeld(
    graceMs: number,
    isGone: ((keys: readonly Uint8Array[]) => Promise<readonly boolean[]>) | undefined,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#exclusive.run(async () => {
      const due = graceMs > 0 ? this.#held.since(this.#deps.nowMs() - graceMs) : [];
      if (due.length > 0) {
        this.#log.warn('Removing what went with a lease of the remote cluster and has not come back', {
          [fields.count]: due.length,
        });
        await this.#removeRows(due, signal);
      }
      if (!isGone || this.#held.size === 0) return;
      const rows = this.#held.rows();
      const prefix = toBytes(this.#remotePrefix);
      const gone = await isGone(rows.map((row) => Buffer.concat([prefix, this.#table.keyOf(row)])));
      await this.#removeRows(
        rows.filter((_, i) => gone[i]),
        signal,
      );
      this.#held.clear();
    });
  }

  /** The lowest revision of the remote store at which something was held back. */
  get heldFrom(): number | undefined {
    return this.#held.firstRevision;
  }

  /** Learns once what the local store holds: of an earlier life, or of another leader. */
  async load(signal: AbortSignal): Promise<void> {
    if (this.#loaded) return;
    await this.#exclusive.run(async () => {
      if (this.#loaded) return;
      for await (const { entries } of this.#deps.local.list(this.#localPrefix, { signal }))
        for (const { key, value, lease } of entries) {
          const row = this.#table.see(key.subarray(this.#localPrefix.length));
          // What has a lease was copied by Cilium's kvstoremesh, and would go with it: it stays doubtful, and is written again.
          if (lease === 0n) this.#table.confirm(row, value);
        }
      this.#loaded = true;
    });
  }

  async #take(batch: WatchBatch, judge: RemovalJudge, signal: AbortSignal): Promise<void> {
    switch (batch.type) {
      case 'restart':
        this.#synced = false;
        this.#table.startListing();
        this.#deps.limit?.startListing();
        return;
      case 'changes':
        await this.#change(changesOf(batch, toBytes(this.#remotePrefix).length), judge, signal);
        return;
      case 'synced':
        await this.#finishListing(batch.revision, judge, signal);
    }
  }

  async #change(changes: Iterable<RemoteChange>, judge: RemovalJudge, signal: AbortSignal): Promise<void> {
    const { limit } = this.#deps;
    const steps = new Map<number, Change>();
    const removals = new Map<number, number>();
    for (const { suffix: raw, value, revision } of changes) {
      const suffix = cacheSuffix(raw);
      if (suffix.length === 0) continue;
      if (value === undefined) {
        limit?.forget(suffix);
        const row = this.#table.find(suffix);
        if (row < 0) continue;
        steps.delete(row);
        removals.set(row, revision);
        continue;
      }
      if (limit?.refuses(suffix)) continue;
      const row = this.#table.see(suffix);
      this.#held.forget(row);
      const known = !removals.delete(row) && !steps.has(row) && this.#table.holds(row, value);
      if (!known) steps.set(row, { row, key: this.#localKey(suffix), value });
    }
    if (removals.size > 0) {
      const from = await judge.believedFrom(signal);
      const withLease = await this.#endsOfLeases(removals, judge, signal);
      for (const [row, revision] of removals)
        if (from !== undefined && revision > from && !withLease.has(revision)) steps.set(row, this.#removal(row));
        else this.#hold(row, revision);
    }
    await this.#write([...steps.values()], signal);
  }

  /** Revisions in which not somebody deleted keys, but a lease of the remote ended. */
  async #endsOfLeases(
    removals: ReadonlyMap<number, number>,
    judge: RemovalJudge,
    signal: AbortSignal,
  ): Promise<ReadonlySet<number>> {
    const prefix = toBytes(this.#remotePrefix);
    const gone = [...removals].map(([row, revision]) => ({
      key: Buffer.concat([prefix, this.#table.keyOf(row)]),
      revision,
    }));
    const ends = new Set<number>();
    for (const one of suspects(this.#remotePrefix, gone))
      if (await judge.wentWithLease(one, signal)) ends.add(one.revision);
    return ends;
  }

  async #finishListing(revision: number, judge: RemovalJudge, signal: AbortSignal): Promise<void> {
    const unseen = this.#table.unseen().filter((row) => !this.#held.has(row));
    if (unseen.length > 0) {
      if (await judge.believesListing(this.resource, revision, signal)) await this.#removeRows(unseen, signal);
      else for (const row of unseen) this.#hold(row, revision);
    }
    this.#deps.limit?.finishListing();
    this.#synced = true;
  }

  #hold(row: number, revision: number): void {
    if (this.#held.size === 0)
      this.#log.warn('Records of a remote cluster went with its lease, which is no deletion: they are kept for now');
    this.#held.add(row, revision, this.#deps.nowMs());
    this.#deps.onHeld();
  }

  #removal(row: number): Change {
    return { row, key: this.#localKey(this.#table.keyOf(row)), value: undefined };
  }

  async #removeRows(rows: readonly number[], signal: AbortSignal): Promise<void> {
    await this.#write(
      rows.map((row) => this.#removal(row)),
      signal,
    );
  }

  async #write(changes: readonly Change[], signal: AbortSignal): Promise<void> {
    if (changes.length === 0) return;
    for (const { row } of changes) this.#table.doubt(row);
    this.#pending = changes.length;
    try {
      const refused = await this.#deps.writer.write(changes, signal);
      for (const change of changes) this.#confirm(change, refused.get(change));
    } finally {
      this.#pending = 0;
    }
  }

  #confirm(change: Change, refusal: string | undefined): void {
    const { row, key, value } = change;
    const shown = refusal !== undefined || this.#refusals.size > 0 ? toText(key) : '';
    if (refusal !== undefined) {
      if (this.#refusals.get(shown) !== refusal)
        this.#log.warn('The local store cannot take a record', { [fields.key]: shown, reason: refusal });
      this.#refusals.set(shown, refusal);
      return;
    }
    this.#refusals.delete(shown);
    this.#written += 1;
    if (value !== undefined) this.#table.confirm(row, value);
    else {
      this.#held.forget(row);
      this.#table.delete(row);
    }
  }

  #localKey(suffix: Uint8Array): Uint8Array {
    return Buffer.concat([this.#localPrefix, suffix]);
  }
}

/** One change of the remote store; a removal has no value. */
interface RemoteChange {
  /** The key without the watched prefix. */
  readonly suffix: Uint8Array;
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

function* changesOf(
  batch: Extract<WatchBatch, { readonly type: 'changes' }>,
  skipped: number,
): Generator<RemoteChange, void, void> {
  if (batch.packed) {
    yield* unpacked(batch.packed, skipped);
    return;
  }
  for (const event of batch.events)
    yield event.type === 'put'
      ? {
          suffix: event.entry.key.subarray(skipped),
          value: event.entry.value,
          revision: event.entry.modRevision,
        }
      : { suffix: event.key.subarray(skipped), value: undefined, revision: event.revision };
}

function* unpacked(packed: PackedChanges, skipped: number): Generator<RemoteChange, void, void> {
  const { length, buffers, spans, revisions } = packed;
  for (let i = 0; i < length; i++) {
    const bytes = buffers[i] as Uint8Array;
    const start = spans[4 * i + 2] as number;
    yield {
      suffix: bytes.subarray((spans[4 * i] as number) + skipped, spans[4 * i + 1]),
      value: start < 0 ? undefined : bytes.subarray(start, spans[4 * i + 3]),
      revision: revisions[i] as number,
    };
  }
}
