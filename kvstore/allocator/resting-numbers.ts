import { createHash } from 'node:crypto';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { type KeyValue, type Operation, toText } from '../contract/index.ts';
import type { AllocatorStore } from './options.ts';

export interface RestingNumbersOptions {
  readonly store: Pick<AllocatorStore, 'list' | 'transact'>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly restMs: number;
  /** Where it stands which numbers rest, with its trailing slash. Absent: only this life knows. */
  readonly prefix: string | undefined;
}

/** What a text is recognised by among those who remember a number, but need not repeat what it meant: 32 bits. */
export function textDigest(text: string): number {
  return createHash('sha256').update(text).digest().readUInt32BE();
}

/** Until when (monotonic) nobody gets a number whose text has not this digest. */
type Meanings = Map<number, number>;

/**
 * Numbers that no other text gets for a while, since readers far away may still act on what they meant: those that were
 * deleted, and those that somebody remembers although the store does not know them any more. The first stand in the store,
 * with the time until which they rest, so that a restart and another leader know them, too.
 */
export class RestingNumbers {
  readonly #options: RestingNumbersOptions;
  readonly #deleted = new Map<number, Meanings>();
  readonly #remembered = new Map<number, Meanings>();
  /** What was heard, over or not: who goes on saying it does not prolong it. */
  readonly #heard = new Map<number, Set<number>>();
  /** Monotonic time when the record of a number is to go. */
  readonly #records = new Map<number, number>();

  constructor(options: RestingNumbersOptions) {
    this.#options = options;
  }

  /** Whether a number that is free is not to be given to this text. */
  bars(id: number, text: string): boolean {
    return this.#otherwise(this.#deleted, id, text) || this.contradicts(id, text);
  }

  /** Whether somebody remembers a number with another meaning. */
  contradicts(id: number, text: string): boolean {
    return this.#otherwise(this.#remembered, id, text);
  }

  /** A number is being deleted, or is gone: it rests from now on. */
  rest(id: number, text: string): void {
    note(this.#deleted, id, textDigest(text), this.#until());
  }

  /** Somebody remembers a number that the store may not know: it rests from when that was heard first. */
  remember(id: number, digest: number): void {
    const heard = this.#heard.get(id) ?? new Set<number>();
    if (heard.has(digest)) return;
    this.#heard.set(id, heard.add(digest));
    note(this.#remembered, id, digest, this.#until());
  }

  /** Who remembers numbers is asked anew: what is said then counts from then. */
  askAnew(): void {
    this.#heard.clear();
  }

  /** What belongs into the transaction that deletes a number's key. */
  record(id: number, text: string): Operation[] {
    const { prefix, clock, restMs } = this.#options;
    if (prefix === undefined) return [];
    this.#records.set(id, this.#until());
    const until = new Date(clock.now() + restMs).toISOString();
    return [{ type: 'put', key: `${prefix}${id}`, value: JSON.stringify({ labels: text, until }) }];
  }

  /** Says in the store that a number rests whose key is gone already. */
  async keep(id: number, text: string, signal: AbortSignal): Promise<void> {
    const then = this.record(id, text);
    if (then.length > 0) await this.#options.store.transact({ when: [], then }, { signal });
  }

  /** Takes over what earlier lives and other leaders have deleted. */
  async load(signal: AbortSignal): Promise<void> {
    const { store, prefix } = this.#options;
    if (prefix === undefined) return;
    for await (const page of store.list(prefix, { signal }))
      for (const entry of page.entries) this.#load(prefix, entry);
  }

  /** Forgets what has rested long enough, in the store too. */
  async sweep(signal: AbortSignal): Promise<void> {
    const { store, clock, prefix } = this.#options;
    const now = clock.monotonicMs();
    for (const meanings of [this.#deleted, this.#remembered])
      for (const [id, ofOne] of meanings) {
        for (const [digest, until] of ofOne) if (until <= now) ofOne.delete(digest);
        if (ofOne.size === 0) meanings.delete(id);
      }
    if (prefix === undefined) return;
    for (const [id, until] of this.#records) {
      if (until > now) continue;
      await store.transact({ when: [], then: [{ type: 'delete', key: `${prefix}${id}` }] }, { signal });
      this.#records.delete(id);
    }
  }

  #load(prefix: string, { key, value }: KeyValue): void {
    const { clock, restMs, log } = this.#options;
    const digits = toText(key).slice(prefix.length);
    if (!/^[1-9]\d{0,9}$/.test(digits)) return;
    const id = Number(digits);
    const said = read(toText(value));
    if (!said)
      log.warn('What rests is not an object with labels and a time: the number rests from now on', {
        [fields.key]: toText(key),
      });
    // A wall clock that was put forward or back makes it no longer than a whole rest.
    const leftMs = said ? Math.min(said.untilMs - clock.now(), restMs) : restMs;
    this.#records.set(id, clock.monotonicMs() + leftMs);
    // Without a text nobody gets it: no text has this digest.
    note(this.#deleted, id, said ? textDigest(said.text) : -1, clock.monotonicMs() + leftMs);
  }

  #until(): number {
    return this.#options.clock.monotonicMs() + this.#options.restMs;
  }

  #otherwise(meanings: ReadonlyMap<number, Meanings>, id: number, text: string): boolean {
    const ofOne = meanings.get(id);
    if (!ofOne) return false;
    const now = this.#options.clock.monotonicMs();
    const own = textDigest(text);
    for (const [digest, until] of ofOne) if (digest !== own && until > now) return true;
    return false;
  }
}

function note(meanings: Map<number, Meanings>, id: number, digest: number, until: number): void {
  const ofOne = meanings.get(id) ?? new Map<number, number>();
  ofOne.set(digest, until);
  meanings.set(id, ofOne);
}

function read(value: string): { readonly text: string; readonly untilMs: number } | undefined {
  try {
    const { labels, until } = JSON.parse(value) as Readonly<Record<string, unknown>>;
    const untilMs = typeof until === 'string' ? Date.parse(until) : Number.NaN;
    return typeof labels === 'string' && Number.isFinite(untilMs) ? { text: labels, untilMs } : undefined;
  } catch {
    return undefined;
  }
}
