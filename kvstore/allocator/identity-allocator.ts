import { fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { hash } from './hash.ts';
import { Holders } from './holders.ts';
import { type KnownNumber, KnownNumbers } from './known-numbers.ts';
import type { NumberConflict } from './number-holder.ts';
import { NumberKeys } from './number-keys.ts';
import type { IdentityAllocatorOptions } from './options.ts';
import { RangeExhaustedError } from './range-exhausted.ts';
import { type Reference, listReferences } from './references.ts';
import { Repair } from './repair.ts';
import { RestingNumbers } from './resting-numbers.ts';

/**
 * Numbers for texts, kept in a store so that a number means the same to everybody and for ever: it is created only where
 * no key is (two allocators never give one number two meanings), found again after a restart, and deleted only when
 * unreferenced for a while. The keys carry no lease: a number must not lose its meaning because its giver is away.
 *
 * The first number tried follows from the text, so that even an emptied store nearly always gets the same ones again.
 */
export class IdentityAllocator {
  readonly #options: IdentityAllocatorOptions;
  readonly #keys: NumberKeys;
  readonly #graceMs: number;
  readonly #known: KnownNumbers;
  readonly #resting: RestingNumbers;
  readonly #repair: Repair;
  readonly #pending = new Map<string, Promise<KnownNumber>>();
  /** Deletions under way: whoever asks for such a text waits, and creates the key anew. */
  readonly #deleting = new Map<string, Promise<void>>();
  /** Numbers that mean one thing in the store and another to somebody who refers to them; given to nobody. */
  readonly #conflicts = new Map<number, NumberConflict>();
  readonly #holders: Holders | undefined;
  /** Those of the conflicts that holders have told of. */
  readonly #heldOtherwise = new Set<number>();
  #collecting = false;
  #loaded = false;
  #opened: Promise<void> | undefined;

  constructor(options: IdentityAllocatorOptions) {
    this.#options = options;
    this.#keys = new NumberKeys(options);
    this.#graceMs = options.graceMs ?? 600_000;
    const { store, clock, log, restPrefix } = options;
    this.#resting = new RestingNumbers({ store, clock, log, restMs: this.#graceMs, prefix: restPrefix });
    this.#known = new KnownNumbers({ keys: this.#keys, clock, usable: (entry) => this.#isUsable(entry) });
    this.#repair = new Repair({ store, keys: this.#keys, known: this.#known, resting: this.#resting, log });
    this.#holders = options.holders && new Holders(options.holders, store, log);
  }

  /** Numbers in the store, referenced or not. */
  get size(): number {
    return this.#known.size;
  }

  /** Numbers that somebody refers to. */
  get referenced(): number {
    let count = 0;
    for (const entry of this.#known.all()) if (entry.references > 0) count += 1;
    return count;
  }

  /** Those who have said in a key of their own which numbers they refer to. */
  get holders(): ReadonlySet<string> {
    return this.#holders?.names ?? new Set();
  }

  /** Numbers whose meaning is contested: the store's stays, those who hold the other one are named in the log. */
  get conflicts(): readonly NumberConflict[] {
    return [...this.#conflicts.values()];
  }

  idOf(text: string): number | undefined {
    return this.#known.ofText(text)?.id;
  }

  /** Reads what is in the store; to be done once, before the first {@link allocate}. */
  async load(signal: AbortSignal): Promise<void> {
    for (const [prefix, hidden] of this.#keys.prefixes)
      for await (const page of this.#options.store.list(prefix, { signal }))
        for (const entry of page.entries) this.#known.learn(entry, hidden);
    await this.#resting.load(signal);
    await this.#holders?.load(signal);
    await this.#learnReferences(signal);
    this.#loaded = true;
  }

  /**
   * The number of a text, and one more reference to it. It is in the store when the promise settles, hidden or not as the
   * last caller said.
   * @throws {RangeExhaustedError} when every number is taken.
   */
  async allocate(text: string, signal: AbortSignal, { hidden = false } = {}): Promise<number> {
    if (!this.#loaded) throw new Error('Cannot allocate before what is in the store has been read');
    await this.#open(signal);
    let entry = this.#usable(text);
    if (!entry) {
      let pending = this.#pending.get(text);
      if (!pending) {
        pending = this.#create(text, hidden, signal).finally(() => this.#pending.delete(text));
        this.#pending.set(text, pending);
      }
      entry = await pending;
    }
    // Before anything is awaited: what is referred to is not collected.
    entry.references += 1;
    try {
      await this.setHidden(text, hidden, signal);
    } catch (error) {
      entry.references -= 1;
      throw error;
    }
    return entry.id;
  }

  /** Moves the key of a text that has a number to where it is hidden, or back. The number stays. */
  async setHidden(text: string, hidden: boolean, signal: AbortSignal): Promise<void> {
    const entry = this.#known.ofText(text);
    if (!entry || entry.hidden === hidden) return;
    const from = this.#keys.of(entry);
    // First here: whoever sees the deletion meanwhile knows that it is no loss.
    entry.hidden = hidden;
    try {
      const { succeeded, revision } = await this.#options.store.transact(
        {
          when: [{ key: from, target: 'value', result: 'equal', value: text }],
          then: [
            { type: 'put', key: this.#keys.of(entry), value: text },
            { type: 'delete', key: from },
          ],
        },
        { signal },
      );
      if (succeeded) entry.revision = revision;
      // Somebody has deleted or overwritten it just now.
      else await this.#repair.run([entry.id], signal);
    } catch (error) {
      entry.hidden = !hidden;
      throw error;
    }
  }

  /** Gives one reference back. */
  release(text: string): void {
    const entry = this.#known.ofText(text);
    if (!entry || entry.references === 0) return;
    entry.references -= 1;
    if (entry.references === 0) entry.freeSince = this.#options.clock.monotonicMs();
  }

  /** From now on, numbers without reference are deleted after the grace time: call it once all references are known. */
  startCollecting(): void {
    if (this.#collecting) return;
    this.#collecting = true;
    const now = this.#options.clock.monotonicMs();
    for (const entry of this.#known.all()) if (entry.references === 0) entry.freeSince = now;
  }

  /** Follows what others do to the keys, repairs them and collects, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    const schedule = exponential({ firstMs: 50, maxMs: 10_000 });
    const onFailure = (error: unknown, failures: number, delayMs: number): void =>
      log.warn('Looking after identities failed, will be repeated', {
        [fields.error]: error,
        [fields.attempt]: failures,
        [fields.delayMs]: Math.round(delayMs),
      });
    await using tasks = new TaskGroup(signal);
    for (const [prefix, hidden] of this.#keys.prefixes)
      tasks.run((running) =>
        retry((attempt) => this.#follow(prefix, hidden, attempt), { clock, signal: running, schedule, onFailure }),
      );
    const holders = this.#holders;
    if (holders)
      tasks.run((running) =>
        retry((attempt) => holders.follow((holder) => this.#learnHeld(attempt, holder), attempt), {
          clock,
          signal: running,
          schedule,
          onFailure,
        }),
      );
    tasks.run((running) =>
      retry((attempt) => this.#collectForever(attempt), { clock, signal: running, schedule, onFailure }),
    );
    await tasks.wait();
  }

  /** Waits until new numbers may be given, and learns what was said of old ones meanwhile. */
  async #open(signal: AbortSignal): Promise<void> {
    const { opening } = this.#options;
    if (!opening) return;
    this.#opened ??= opening(signal).then(() => this.#learnReferences(signal));
    try {
      await this.#opened;
    } catch (error) {
      this.#opened = undefined;
      throw error;
    }
  }

  /** The store is another one, or an older one: who refers to numbers has to say so anew. */
  #close(): void {
    this.#opened = undefined;
    this.#resting.askAnew();
    this.#options.onReplaced?.();
  }

  /** Takes over what those who refer to numbers say of them. What the store says itself is not changed by that. */
  async #learnReferences(signal: AbortSignal): Promise<void> {
    const { store, referencePrefix } = this.#options;
    await this.#learnHeld(signal);
    if (referencePrefix === undefined) return;
    await this.#learnFrom(listReferences(store, referencePrefix, signal), signal);
  }

  /** @param holder who alone has said something new, where that is known */
  async #learnHeld(signal: AbortSignal, holder?: string): Promise<void> {
    if (!this.#holders) return;
    const held = [...this.#holders.references()];
    // What nobody holds any more is not contested either.
    for (const [id, { theirs }] of this.#conflicts)
      if (this.#heldOtherwise.has(id) && !held.some((each) => each.id === id && each.text === theirs))
        this.#conflicts.delete(id);
    for (const id of await this.#learnFrom(held, signal)) this.#heldOtherwise.add(id);
    // Behind what is held: what somebody has in use counts more than what is remembered.
    for (const [id, digest] of this.#holders.remembered(holder))
      if (this.#keys.has(id)) this.#resting.remember(id, digest);
  }

  /** Puts back what the store has lost of what is referred to. Gives the numbers by which something else is meant than the store says. */
  async #learnFrom(
    references: Iterable<Reference> | AsyncIterable<Reference>,
    signal: AbortSignal,
  ): Promise<readonly number[]> {
    const contested: number[] = [];
    const lost = new Map<string, Reference>();
    for await (const reference of references) {
      const { id, text } = reference;
      if (!this.#keys.has(id)) continue;
      const said = `${id} ${text}`;
      if (!this.#known.at(id)) lost.set(said, lost.get(said) ?? reference);
      else if (this.#contests(reference)) contested.push(id);
    }
    await this.#restore(lost.values(), signal);
    for (const reference of lost.values()) if (this.#contests(reference)) contested.push(reference.id);
    return contested;
  }

  #contests({ id, text, holder }: Reference): boolean {
    const known = this.#known.at(id);
    if (!known || known.text === text || this.#conflicts.has(id)) return false;
    this.#conflicts.set(id, { id, ours: known.text, theirs: text, holder });
    this.#options.log.warn('A number means one thing in the store and another to somebody who refers to it', {
      number: id,
      stored: known.text,
      held: text,
      holder,
    });
    return true;
  }

  async #restore(kept: Iterable<Omit<Reference, 'holder'>>, signal: AbortSignal): Promise<void> {
    const canHide = this.#options.hiddenPrefix !== undefined;
    const meanings = [...kept].map(({ id, text, hidden }) => ({ id, text, hidden: canHide && hidden === true }));
    await this.#repair.restore(meanings, signal);
  }

  /** What a text has, where that may be given. */
  #usable(text: string): KnownNumber | undefined {
    const entry = this.#known.ofText(text);
    return entry && this.#isUsable(entry) ? entry : undefined;
  }

  /** A number that means something else to somebody is given no more, unless others have it in the store's meaning. */
  #isUsable(entry: KnownNumber): boolean {
    const contested = this.#conflicts.has(entry.id) || this.#resting.contradicts(entry.id, entry.text);
    return !contested || entry.references > 0 || this.#holders?.refersTo(entry) === true;
  }

  async #create(text: string, hidden: boolean, signal: AbortSignal): Promise<KnownNumber> {
    await this.#deleting.get(text)?.catch(() => undefined);
    const known = this.#usable(text);
    if (known) return known;
    for (const id of this.#candidates(text)) {
      const created = await this.#createKey(id, text, hidden, signal);
      if ('revision' in created) return this.#known.add(id, text, hidden, created.revision);
      if (created.learnt.text === text && this.#isUsable(created.learnt)) return created.learnt;
    }
    throw new RangeExhaustedError(this.#options.range.min, this.#options.range.max);
  }

  /** Creates the key of a number where there is none under either prefix; else takes over what is there. */
  async #createKey(
    id: number,
    text: string,
    hidden: boolean,
    signal: AbortSignal,
  ): Promise<{ readonly revision: number } | { readonly learnt: KnownNumber }> {
    const prefixes = this.#keys.prefixes;
    for (;;) {
      const result = await this.#options.store.transact(
        {
          when: prefixes.map(([prefix]) => ({ key: `${prefix}${id}`, target: 'create', result: 'equal', value: 0 })),
          then: [{ type: 'put', key: this.#keys.of({ id, hidden }), value: text }],
          otherwise: prefixes.map(([prefix]) => ({ type: 'get', key: `${prefix}${id}` })),
        },
        { signal },
      );
      if (result.succeeded) return { revision: result.revision };
      for (const [i, [, isHidden]] of prefixes.entries()) {
        const found = result.results[i];
        if (found?.type !== 'get' || !found.entry) continue;
        const learnt = this.#known.learn(found.entry, isHidden) ?? this.#known.at(id);
        if (learnt) return { learnt };
      }
    }
  }

  /** Free numbers, beginning where the text points to. */
  *#candidates(text: string): Generator<number> {
    const { min, max } = this.#options.range;
    const size = max - min + 1;
    const first = hash(text) % size;
    for (let i = 0; i < size; i++) {
      const id = min + ((first + i) % size);
      if (!this.#known.at(id) && !this.#resting.bars(id, text)) yield id;
    }
  }

  async #follow(prefix: string, hidden: boolean, signal: AbortSignal): Promise<void> {
    const seen = new Set<number>();
    for await (const batch of this.#options.store.listAndWatch(prefix, { signal })) {
      if (batch.type === 'restart') seen.clear();
      if (batch.type === 'restart' && batch.reason === 'store-replaced') this.#close();
      await this.#repair.run(this.#repair.touched(batch, hidden, seen), signal);
    }
  }

  async #collectForever(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#options.clock.sleep(Math.max(1_000, this.#graceMs / 10), signal);
      if (this.#collecting) await this.#collect(signal);
    }
  }

  async #collect(signal: AbortSignal): Promise<void> {
    const before = this.#options.clock.monotonicMs() - this.#graceMs;
    for (const entry of this.#known.all()) {
      if (entry.references > 0 || entry.freeSince > before) continue;
      if (await this.#isReferenced(entry, signal)) {
        entry.freeSince = this.#options.clock.monotonicMs();
        continue;
      }
      // Whoever asked for it meanwhile has it.
      if (entry.references > 0) continue;
      this.#known.forget(entry);
      this.#resting.rest(entry.id, entry.text);
      const deletion = this.#deleteLocked(entry, signal).finally(() => this.#deleting.delete(entry.text));
      this.#deleting.set(entry.text, deletion);
      await deletion;
    }
    await this.#resting.sweep(signal);
  }

  async #isReferenced(entry: KnownNumber, signal: AbortSignal): Promise<boolean> {
    const { store, referencePrefix } = this.#options;
    if (this.#holders?.refersTo(entry)) return true;
    if (referencePrefix === undefined) return false;
    for await (const { id } of listReferences(store, referencePrefix, signal, entry.text))
      if (id === entry.id) return true;
    return false;
  }

  async #deleteLocked(entry: KnownNumber, signal: AbortSignal): Promise<void> {
    const { store, lockPrefix } = this.#options;
    const lock = lockPrefix === undefined ? undefined : await store.lock?.(`${lockPrefix}${entry.id}`, { signal });
    try {
      await this.#delete(entry, signal);
    } finally {
      await lock?.release();
    }
    // Somebody may have referred to it at that very moment. It rests, so that nobody else has got it.
    if (await this.#isReferenced(entry, signal)) await this.#restore([entry], signal);
  }

  async #delete(entry: KnownNumber, signal: AbortSignal): Promise<void> {
    const key = this.#keys.of(entry);
    try {
      await this.#options.store.transact(
        {
          when: [{ key, target: 'mod', result: 'equal', value: entry.revision }],
          then: [{ type: 'delete', key }, ...this.#resting.record(entry.id, entry.text)],
        },
        { signal },
      );
    } catch (error) {
      // Whether it is gone is unknown: it counts as there until the watch says otherwise.
      this.#known.add(entry.id, entry.text, entry.hidden, entry.revision);
      throw error;
    }
  }
}
