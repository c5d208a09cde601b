import type { Clock } from '../../runtime/clock/index.ts';
import { fields, type Logger } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { type Engine, KvStoreError, PermissionDeniedError, type Store, type WatchEvent } from '../contract/index.ts';
import { compactAutomatically } from '../engine/index.ts';
import { MemoryEngine } from '../memory/index.ts';
import { HeldRemovals } from './held-removals.ts';
import { ReadOnlyEngine } from './read-only-engine.ts';

export interface ReadMirrorOptions {
  readonly from: Pick<Store, 'listAndWatch'>;
  /** Only keys that begin so are mirrored. */
  readonly prefix: string;
  /**
   * The key without which no removal is believed, since whoever writes the others never deletes it: where it goes, a lease or a store was
   * lost, and everything is written again. Without one every removal counts.
   */
  readonly vouching?: string;
  /**
   * Keys without which nothing is served to begin with, since they are written last: where one is missing the store is new, or was wiped,
   * and its writer is still at work. Readers that come from an earlier life of the mirror would take what is not there yet for deleted. After ten minutes they are no longer waited for.
   */
  readonly awaited?: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  /** Opens the doors, once the first listing is complete and has all that is awaited: serves the engine until what it gives is disposed of. */
  readonly serve: (engine: Engine) => Promise<AsyncDisposable>;
}

/** What a mirror holds now. */
export interface ReadMirrorStatus {
  /** True while what is served equals a complete listing that is being followed. */
  readonly synced: boolean;
  readonly keys: number;
  readonly revision: number;
  /** Keys among them that the source lacks, and that are expected to come back. */
  readonly held: number;
}

const transactionKeys = 128;
/** Readers that were cut off for longer list anew. */
const history = { mode: 'age', retentionMs: 5 * 60_000 } as const;
/** How often removals that were held are looked at. */
const releaseMs = 10_000;
/** How long what is awaited is waited for, once a listing was complete: longer than agents that are silent are. */
const patienceMs = 10 * 60_000;
const schedule = exponential({ firstMs: 100, maxMs: 10_000 });

/**
 * A copy of one prefix of any store that speaks the etcd v3 API, for peers that speak nothing else. Nobody can write to
 * it, and nothing is served before the first listing is complete.
 *
 * It lives in memory, so each life is another store: it has another cluster id, and revisions that begin beyond those of
 * all lives before (the wall clock in milliseconds), with everything older compacted. Whoever comes back and asks where it
 * left off is told so, also a client that does not look at cluster ids, and lists again. When the store it copies is
 * replaced, it takes over the difference, once the listing is complete: readers see ordinary changes. What such a store lacks is kept
 * until its writer has had time to write it again ({@link HeldRemovals}).
 */
export class ReadMirror {
  readonly #options: ReadMirrorOptions;
  readonly #engine: MemoryEngine;
  readonly #keys = new Set<string>();
  readonly #held: HeldRemovals;
  readonly #vouching: string | undefined;
  /** Keys that were awaited and have not been seen. */
  readonly #missing: Set<string>;
  #synced = false;

  constructor(options: ReadMirrorOptions) {
    this.#options = options;
    const { clock, log, vouching, awaited = [] } = options;
    this.#missing = new Set(awaited.map((key) => textOf(Buffer.from(key))));
    this.#held = new HeldRemovals(clock);
    this.#vouching = vouching === undefined ? undefined : textOf(Buffer.from(vouching));
    this.#engine = new MemoryEngine({ clock, log, firstRevision: Math.max(2, clock.now()) });
  }

  status(): ReadMirrorStatus {
    return {
      synced: this.#synced && this.#missing.size === 0,
      keys: this.#keys.size,
      revision: this.#engine.revision,
      held: this.#held.size,
    };
  }

  /** Mirrors and serves until `signal` aborts. @throws what repeating does not cure */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, serve } = this.#options;
    await using _engine = this.#engine;
    let opening: Promise<AsyncDisposable> | undefined;
    const open = async (): Promise<void> => {
      await (opening ??= serve(new ReadOnlyEngine(this.#engine)));
    };
    try {
      await using tasks = new TaskGroup(signal);
      tasks.run((running) => compactAutomatically(this.#engine, history, { clock, log }, running));
      if (this.#vouching !== undefined) tasks.run((running) => this.#release(running));
      tasks.run((running) => this.#endWaiting(open, running));
      tasks.run((running) =>
        retry((attempt) => this.#follow(attempt, open), {
          clock,
          signal: running,
          schedule,
          // Who is served already is not turned away because a token is exchanged in the wrong order.
          retryable: (error) =>
            error instanceof KvStoreError &&
            (error.retry !== 'never' || (opening !== undefined && error instanceof PermissionDeniedError)),
          onFailure: (error, failures, delayMs) =>
            log.warn('Mirroring was interrupted and begins again', {
              [fields.error]: error,
              [fields.attempt]: failures,
              [fields.delayMs]: Math.round(delayMs),
            }),
        }),
      );
      await tasks.wait();
    } finally {
      this.#synced = false;
      const server = await opening?.catch(() => undefined);
      await server?.[Symbol.asyncDispose]();
    }
  }

  async #follow(signal: AbortSignal, open: () => Promise<void>): Promise<void> {
    const { from, prefix, log } = this.#options;
    /** Keys of the listing under way. */
    let listed: Set<string> | undefined;
    for await (const batch of from.listAndWatch(prefix, { signal })) {
      if (batch.type === 'restart') {
        listed = new Set();
        this.#synced = false;
        if (batch.reason === 'store-replaced' && this.#vouching !== undefined) this.#doubt();
      } else if (batch.type === 'changes') {
        await this.#apply(batch.events, listed);
        if (!listed) await this.#openIfWhole(open);
      } else {
        const seen = listed ?? new Set();
        listed = undefined;
        await this.#removeUnseen([...this.#keys].filter((key) => !seen.has(key)));
        this.#synced = true;
        await this.#openIfWhole(open);
        const [missing] = this.#missing;
        if (missing !== undefined)
          log.info('The mirror is not served before its store holds what is written last', { [fields.key]: missing });
      }
    }
  }

  async #openIfWhole(open: () => Promise<void>): Promise<void> {
    if (this.#missing.size > 0) for (const text of this.#missing) if (this.#keys.has(text)) this.#missing.delete(text);
    if (this.#missing.size === 0) await open();
  }

  /** What is not written in all this time its writer cannot write, and the rest is not to be kept from readers for that. */
  async #endWaiting(open: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    let sinceMs: number | undefined;
    while (this.#missing.size > 0) {
      await clock.sleep(releaseMs, signal);
      if (!this.#synced || this.#missing.size === 0) continue;
      sinceMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - sinceMs < patienceMs) continue;
      log.warn('The mirror is served without what is written last', { [fields.key]: [...this.#missing].join(' ') });
      this.#missing.clear();
      await open();
    }
  }

  /** Writes what has changed, many keys at a time; of changes of one key, the last. */
  async #apply(events: readonly WatchEvent[], listed: Set<string> | undefined): Promise<void> {
    const last = new Map<string, WatchEvent>();
    for (const event of events) last.set(textOf(event.type === 'put' ? event.entry.key : event.key), event);
    const vouching = this.#vouching === undefined ? undefined : last.get(this.#vouching);
    // What goes with it may stand before it.
    if (vouching?.type === 'delete') this.#doubt();
    else if (vouching) this.#held.vouch();
    const changed = [...last];
    for (let from = 0; from < changed.length; from += transactionKeys) {
      const part = changed.slice(from, from + transactionKeys);
      const writes = [];
      const removed: string[] = [];
      // First of all: what has been held for too long is removed beside this, and must not be what is there again.
      const returned = new Set(
        part.flatMap(([text, { type }]) => (type === 'put' && this.#held.has(text) ? [text] : [])),
      );
      for (const text of returned) this.#held.forget(text);
      for (const [text, event] of part) {
        const key = bytesOf(text);
        if (event.type === 'delete') {
          if (!this.#mayHold(text)) {
            removed.push(text);
            writes.push({ type: 'delete', request: { key } } as const);
          }
        } else if (!(listed || returned.has(text)) || !(await this.#holds(text, event.entry.value)))
          writes.push({ type: 'put', request: { key, value: new Uint8Array(event.entry.value) } } as const);
        if (event.type === 'put') listed?.add(text);
      }
      if (writes.length > 0) await this.#engine.txn({ compare: [], success: writes, failure: [] });
      for (const [text, event] of part) if (event.type === 'put') this.#keys.add(text);
      for (const text of removed) {
        this.#keys.delete(text);
        this.#held.forget(text);
      }
    }
  }

  async #removeUnseen(unseen: readonly string[]): Promise<void> {
    if (this.#vouching !== undefined && unseen.includes(this.#vouching)) this.#doubt();
    await this.#remove(unseen.filter((text) => !this.#mayHold(text)));
  }

  /** Holds the removal of a key, if removals are held. */
  #mayHold(text: string): boolean {
    if (!this.#held.holding || !this.#keys.has(text)) return false;
    this.#held.hold(text);
    return true;
  }

  #doubt(): void {
    const { log, vouching } = this.#options;
    if (!this.#held.holding)
      log.warn('What the mirrored store lacks is kept until its writer is back', { [fields.key]: vouching });
    this.#held.doubt();
  }

  /** Removes what did not come back, in time. */
  async #release(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    for (;;) {
      await clock.sleep(releaseMs, signal);
      // A listing under way may be about to show them.
      const due = this.#synced ? this.#held.due() : [];
      if (due.length === 0) continue;
      log.info('Removing from the mirror what did not come back', { [fields.count]: due.length });
      await this.#remove(due, (text) => this.#held.has(text));
    }
  }

  /** @param stillMeant asked right before a key is removed, where it may have come back meanwhile */
  async #remove(keys: readonly string[], stillMeant: (key: string) => boolean = () => true): Promise<void> {
    for (let from = 0; from < keys.length; from += transactionKeys) {
      const part = keys.slice(from, from + transactionKeys).filter(stillMeant);
      if (part.length === 0) continue;
      for (const text of part) {
        this.#keys.delete(text);
        this.#held.forget(text);
      }
      const success = part.map((text) => ({ type: 'delete', request: { key: bytesOf(text) } }) as const);
      await this.#engine.txn({ compare: [], success, failure: [] });
    }
  }

  /** A listing that repeats what is there is no change to readers. */
  async #holds(text: string, value: Uint8Array): Promise<boolean> {
    if (!this.#keys.has(text)) return false;
    const { kvs } = await this.#engine.range({ key: bytesOf(text) });
    return kvs[0] !== undefined && Buffer.compare(kvs[0].value, value) === 0;
  }
}

/** Keys of any bytes as texts that compare as they do. */
function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1');
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}
