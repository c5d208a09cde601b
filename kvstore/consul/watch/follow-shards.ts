import { exponential } from '../../../runtime/retry/index.ts';
import { AsyncQueue } from '../../../runtime/queue/index.ts';
import { TaskGroup, linkedController } from '../../../runtime/tasks/index.ts';
import { KvStoreError, type WatchBatch, type WatchEvent } from '../../contract/index.ts';
import { type JournaledChange, followJournal } from '../journal/index.ts';
import { isMark, markName, scopeOf } from '../keys.ts';
import { followNames } from '../read.ts';
import type { FollowOptions } from './follow-options.ts';
import { eventsOf } from './known-entries.ts';
import { ShardMap, planShards } from './plan-shards.ts';
import { Shard, type ShardOptions } from './shard.ts';

/** Why shards are followed no longer: the store is another one, or the parts no longer fit what is there. */
export type ShardsEnd = 'replaced' | 'unfit';

export interface ShardsStart {
  /** As many parts as may be followed. */
  readonly limit: number;
  /** The highest revision that was told. */
  readonly revision: number;
  /** Whether the prefix holds an incarnation key. */
  readonly marked: boolean;
  /** Told how many keys there are, now and then. */
  readonly onSize: (size: number) => void;
}

/** The size below which a part is not cut any more. */
export function smallestPart(shardKeys: number): number {
  return Math.ceil(shardKeys / 8);
}

const backoff = exponential({ firstMs: 50, maxMs: 2000 });
/** Between two looks at all names: at least this long, and ten times what a look at so many costs the server. */
const namesRestMs = 250;
const namesRestMsPerKey = 0.0075;
/** An answer that is on its way gets this long before it is asked for. */
const patienceMs = 100;

/**
 * Follows a large prefix as many small ones, so that one change costs the reading of one of them. Three things together
 * miss nothing: each part is followed by blocking queries; the journal tells our own writers' changes before; and the
 * names of all keys are watched, which finds what belongs to no part yet, and what has gone unseen.
 */
export class ShardFollower {
  readonly #options: FollowOptions;
  readonly #shardOptions: ShardOptions;
  readonly #shards: ShardMap<Shard>;
  readonly #limit: number;
  readonly #whole: Shard;
  readonly #marked: boolean;
  readonly #onSize: (size: number) => void;
  readonly #largestPlanned: number;
  readonly #queue = new AsyncQueue<{ readonly batch: WatchBatch; readonly taken: () => void }>();
  readonly #pokes = new Map<Shard, () => void>();
  #tasks: TaskGroup | undefined;
  /** Changes that were taken over after the end was decided on. */
  readonly #late: WatchEvent[] = [];
  #end: ShardsEnd | undefined;
  #revision: number;

  /** @param whole knows the prefix; it knows nothing any more until {@link run} has ended */
  constructor(options: FollowOptions, shardOptions: ShardOptions, whole: Shard, start: ShardsStart) {
    const { limit, revision, marked, onSize } = start;
    this.#options = options;
    this.#shardOptions = shardOptions;
    this.#whole = whole;
    this.#limit = limit;
    this.#revision = revision;
    this.#marked = marked;
    this.#onSize = onSize;
    const names = [...whole.known.names].sort();
    const lookup = new ShardMap(
      options.prefix,
      planShards(options.prefix, names, limit, smallestPart(options.shardKeys)).map(
        (prefix) => [prefix, prefix] as const,
      ),
    );
    const asOf = whole.index;
    const parts = whole.known.split((name) => lookup.partOf(name) ?? options.prefix);
    this.#shards = new ShardMap(
      options.prefix,
      [...parts].map(([prefix, known]) => {
        const start = { known, index: Math.max(1, known.highestIndex), asOf };
        return [prefix, new Shard(prefix, shardOptions, start)] as const;
      }),
    );
    this.#largestPlanned = Math.max(0, ...[...this.#shards.values()].map(({ size }) => size));
  }

  get revision(): number {
    return this.#revision;
  }

  get count(): number {
    return this.#shards.size;
  }

  /** Follows until `signal` aborts or the parts no longer fit; `whole` knows everything again then. */
  async *run(signal: AbortSignal): AsyncGenerator<WatchBatch, ShardsEnd, void> {
    await using tasks = new TaskGroup(signal);
    this.#tasks = tasks;
    const { prefix, journal } = this.#options;
    if (this.#shards.size > 1) {
      for (const shard of this.#shards.values()) this.#start(shard);
      tasks.run((running) => this.#followNames(running));
      const scope = scopeOf(prefix);
      if (journal && scope !== '') tasks.run((running) => this.#followJournal(scope, running));
    } else this.#end = 'unfit';
    const onEnd = (): void => this.#queue.end();
    if (this.#end) onEnd();
    else tasks.signal.addEventListener('abort', onEnd, { once: true });
    for await (const { batch, taken } of this.#queue) {
      yield batch;
      taken();
    }
    await tasks[Symbol.asyncDispose]();
    await tasks.wait();
    signal.throwIfAborted();
    for (const shard of this.#shards.values()) this.#whole.known.absorb(shard.known);
    if (this.#end !== 'replaced' && this.#late.length > 0)
      yield { type: 'changes', events: this.#late, revision: this.#revision };
    return this.#end ?? 'unfit';
  }

  #start(shard: Shard): void {
    this.#tasks?.run((running) => this.#followShard(shard, running));
  }

  #finish(end: ShardsEnd): void {
    this.#end ??= end;
    this.#queue.end();
  }

  async #followShard(shard: Shard, signal: AbortSignal): Promise<void> {
    const { clock, random } = this.#options;
    for (let failures = 0; !this.#end;) {
      signal.throwIfAborted();
      using attempt = linkedController(signal);
      this.#pokes.set(shard, () => attempt.abort(new DOMException('It is to be read anew', 'AbortError')));
      try {
        let told: Promise<void> | undefined;
        const found = await shard.next(attempt.signal, (difference) => {
          told = this.#tell(eventsOf(difference, shard.index), signal);
        });
        failures = 0;
        if (found === 'replaced') return this.#finish('replaced');
        await told;
        this.#fit();
        if (shard.size === 0 && shard.index > 0) return this.#drop(shard);
        if (found.restMs > 0) await clock.sleep(found.restMs, attempt.signal);
      } catch (error) {
        signal.throwIfAborted();
        shard.doubt();
        if (attempt.signal.aborted) continue;
        if (!(error instanceof KvStoreError) || error.retry === 'never') throw error;
        failures += 1;
        await clock.sleep(backoff(failures, random()), signal);
      }
    }
  }

  /** Hands events over at once; settles when they are taken: so that at most one batch of each part waits. */
  #tell(events: readonly WatchEvent[], signal: AbortSignal): Promise<void> {
    for (const event of events) {
      const revision = event.type === 'put' ? event.entry.modRevision : event.revision;
      if (revision > this.#revision) this.#revision = revision;
    }
    if (this.#end) this.#late.push(...events);
    if (this.#end || events.length === 0) return Promise.resolve();
    return new Promise<void>((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      const taken = (): void => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#queue.push({ batch: { type: 'changes', events, revision: this.#revision }, taken });
    });
  }

  async #followJournal(scope: string, signal: AbortSignal): Promise<void> {
    const { http, clock, random, waitMs, prefix } = this.#options;
    const onChanges = async (changes: readonly JournaledChange[]): Promise<void> => {
      const events: WatchEvent[] = [];
      for (const change of changes) {
        if (!change.name.startsWith(prefix) || isMark(change.name)) continue;
        const shard = this.#shards.partOf(change.name);
        if (!shard && change.value !== undefined) this.#cover(change.name);
        const event = shard?.journal(change);
        if (event) events.push(event);
      }
      await this.#tell(events, signal);
    };
    await followJournal({ http, clock, random, scope, waitMs, onChanges }, signal);
  }

  /** Watches which keys there are: what no part covers gets one, and a part that lacks or has too much is read anew. */
  async #followNames(signal: AbortSignal): Promise<void> {
    const { http, clock, random, prefix, waitMs } = this.#options;
    const { what } = this.#shardOptions;
    let index = Math.max(1, this.#whole.index);
    for (let failures = 0; !this.#end;) {
      try {
        const { names, index: found } = await followNames(http, prefix, { index, waitMs }, { what, signal });
        failures = 0;
        const strange = found < index || (this.#marked && !names.includes(prefix + markName));
        index = Math.max(1, found);
        if (strange) {
          if (!(await this.#shardOptions.sameStore(signal))) return this.#finish('replaced');
          this.#poke(this.#shards.values());
        }
        await this.#compare(names, signal);
        await clock.sleep(Math.max(namesRestMs, names.length * namesRestMsPerKey), signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!(error instanceof KvStoreError) || error.retry === 'never') throw error;
        failures += 1;
        index = 1;
        await clock.sleep(backoff(failures, random()), signal);
      }
    }
  }

  async #compare(names: readonly string[], signal: AbortSignal): Promise<void> {
    const counts = new Map<Shard, number>();
    for (const name of names) {
      if (isMark(name)) continue;
      const shard = this.#shards.partOf(name);
      if (shard) counts.set(shard, (counts.get(shard) ?? 0) + 1);
      else this.#cover(name);
    }
    const differing = (): Shard[] =>
      [...this.#shards.values()].filter((shard) => shard.index > 0 && shard.size !== (counts.get(shard) ?? 0));
    const before = new Map(differing().map((shard) => [shard, shard.index]));
    if (before.size === 0) return;
    await this.#options.clock.sleep(patienceMs, signal);
    // One that got an answer meanwhile knows better than the names.
    this.#poke(differing().filter((shard) => before.get(shard) === shard.index));
    for (const name of names) if (!isMark(name) && !this.#shards.partOf(name)) this.#cover(name);
  }

  /** A prefix without keys is woken by every write of the store; should it get a key again, the names tell. */
  #drop(shard: Shard): void {
    this.#shards.remove(shard.prefix);
    this.#pokes.delete(shard);
  }

  #poke(shards: Iterable<Shard>): void {
    for (const shard of shards) this.#pokes.get(shard)?.();
  }

  #cover(name: string): void {
    if (this.#end) return;
    const place = this.#shards.placeFor(name);
    if (place === undefined) return this.#finish('unfit');
    const shard = new Shard(place, this.#shardOptions);
    this.#shards.add(place, shard);
    this.#start(shard);
    this.#fit();
  }

  /** Too many parts, or parts that have grown too far apart: they are planned anew. */
  #fit(): void {
    const { shardKeys } = this.#options;
    let size = 0;
    let largest = 0;
    for (const shard of this.#shards.values()) {
      size += shard.size;
      if (shard.size > largest) largest = shard.size;
    }
    this.#onSize(size);
    const many = this.#shards.size > this.#limit * 1.5;
    if (many || size < shardKeys / 2 || largest > 4 * Math.max(shardKeys, this.#largestPlanned)) this.#finish('unfit');
  }
}
