import { type Logger, fields } from '../../runtime/log/index.ts';
import { type Store, type WatchBatch, toText } from '../contract/index.ts';
import type { KnownNumber, KnownNumbers } from './known-numbers.ts';
import type { NumberKeys } from './number-keys.ts';
import { type Meaning, type Place, type PutBack, lookAt, partsOf, putBack } from './put-back.ts';
import type { RestingNumbers } from './resting-numbers.ts';

export interface RepairOptions {
  readonly store: Pick<Store, 'transact'>;
  readonly keys: NumberKeys;
  readonly known: KnownNumbers;
  readonly resting: RestingNumbers;
  readonly log: Logger;
}

/** Keys that somebody deleted or overwrote, or that the store has lost. The meanings that were published first stay, if anybody still refers to them. */
export class Repair {
  readonly #options: RepairOptions;

  constructor(options: RepairOptions) {
    this.#options = options;
  }

  /** Numbers whose key is not what we know it to be. `seen` collects those of a listing, for one prefix. */
  touched(batch: WatchBatch, hidden: boolean, seen: Set<number>): number[] {
    const { keys, known } = this.#options;
    const touched: number[] = [];
    if (batch.type === 'synced') {
      for (const entry of known.all()) if (entry.hidden === hidden && !seen.has(entry.id)) touched.push(entry.id);
      seen.clear();
    } else if (batch.type === 'changes') {
      for (const event of batch.events) {
        const id = keys.idIn(event.type === 'put' ? event.entry.key : event.key, hidden);
        if (id === undefined) continue;
        seen.add(id);
        // Of a number that is kept under the other prefix, this one says nothing.
        if ((known.at(id)?.hidden ?? hidden) !== hidden) continue;
        if (event.type === 'delete' || !known.learn(event.entry, hidden)) touched.push(id);
      }
    }
    return touched;
  }

  /** Puts the keys of these numbers back where somebody refers to them; of the others, takes over what the store says now. */
  async run(ids: readonly number[], signal: AbortSignal): Promise<void> {
    for (const part of partsOf(ids, (id) => this.#options.known.at(id)?.text)) await this.#runPart(part, signal);
  }

  /**
   * Puts keys back that the store has lost, where somebody has kept the meanings of their numbers; of several meanings of one number the first
   * counts. Where another one was put meanwhile, that one counts and becomes known.
   */
  async restore(kept: Iterable<Meaning>, signal: AbortSignal): Promise<void> {
    const meanings = new Map<number, Meaning>();
    for (const meaning of kept) if (!meanings.has(meaning.id)) meanings.set(meaning.id, meaning);
    for (const part of partsOf(meanings.keys(), (id) => meanings.get(id)?.text))
      await this.#restorePart(
        part.flatMap((id) => meanings.get(id) ?? []),
        signal,
      );
  }

  async #restorePart(meanings: readonly Meaning[], signal: AbortSignal): Promise<void> {
    const { store, keys, known } = this.#options;
    for (;;) {
      const lost = meanings.filter(({ id }) => !known.at(id));
      // Nothing was looked at: none of them is written where any of their keys is there.
      const result = await putBack(store, keys, lost, new Map(), signal);
      if ('changed' in result) {
        for (const { id, text, hidden } of lost) known.add(id, text, hidden, result.revision);
        return;
      }
      for (const { hidden, stored } of [...result.found.values()].flat()) if (stored) known.learn(stored, hidden);
    }
  }

  async #runPart(ids: readonly number[], signal: AbortSignal): Promise<void> {
    const { store, keys, known } = this.#options;
    let seen: ReadonlyMap<number, readonly Place[]> = new Map();
    for (let round = 1; ; round++) {
      for (const id of ids) if (known.at(id)?.references === 0) await this.#letGo(id, signal);
      const held = ids.flatMap((id) => known.at(id) ?? []).filter(({ references }) => references > 0);
      if (held.length === 0) return;
      // One that changes all the time keeps no other waiting.
      if (round > 3 && held.length > 1) {
        for (const { id } of held) await this.#runPart([id], signal);
        return;
      }
      const result = await putBack(store, keys, held, seen, signal);
      if ('found' in result) seen = result.found;
      else return this.#sayPutBack(held, result);
    }
  }

  /** Nobody refers to it: what the store says now counts. */
  async #letGo(id: number, signal: AbortSignal): Promise<void> {
    const { store, keys, known, resting } = this.#options;
    const seen = await lookAt(store, keys, id, signal);
    const entry = known.at(id);
    if (!entry || entry.references > 0) return;
    const here = seen.find(({ hidden }) => hidden === entry.hidden)?.stored;
    known.forget(entry);
    resting.rest(id, entry.text);
    if (here) known.learn(here, entry.hidden);
    else await resting.keep(id, entry.text, signal);
  }

  #sayPutBack(entries: readonly KnownNumber[], { changed, revision }: PutBack): void {
    for (const entry of entries) {
      const seen = changed.get(entry.id);
      if (!seen) continue;
      entry.revision = revision;
      const here = seen.find(({ hidden }) => hidden === entry.hidden)?.stored;
      const elsewhere = seen.find(({ hidden }) => hidden !== entry.hidden)?.stored;
      this.#options.log.warn('An identity was changed by somebody else and put back', {
        [fields.key]: this.#options.keys.of(entry),
        ...(here ? { stored: toText(here.value) } : {}),
        held: entry.text,
        ...(elsewhere ? { elsewhere: toText(elsewhere.value) } : {}),
      });
    }
  }
}
