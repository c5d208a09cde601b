import type { Clock } from '../../runtime/clock/index.ts';
import { type KeyValue, toText } from '../contract/index.ts';
import type { NumberKeys } from './number-keys.ts';

/** A number, what it stands for, and who refers to it here. */
export interface KnownNumber {
  readonly id: number;
  readonly text: string;
  /** Under which of the prefixes its key is. */
  hidden: boolean;
  references: number;
  /** Monotonic time since when nobody refers to it. */
  freeSince: number;
  revision: number;
}

export interface KnownNumbersOptions {
  readonly keys: NumberKeys;
  readonly clock: Clock;
  /** Whether a number may be given for its text; one that may not makes room for another one of the same text. */
  readonly usable: (entry: KnownNumber) => boolean;
}

/** What is known of the store's numbers, by number and by text. A number that is known keeps its meaning until it is forgotten. */
export class KnownNumbers {
  readonly #options: KnownNumbersOptions;
  readonly #byText = new Map<string, KnownNumber>();
  readonly #byId = new Map<number, KnownNumber>();

  constructor(options: KnownNumbersOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#byId.size;
  }

  all(): Iterable<KnownNumber> {
    return this.#byId.values();
  }

  at(id: number): KnownNumber | undefined {
    return this.#byId.get(id);
  }

  ofText(text: string): KnownNumber | undefined {
    return this.#byText.get(text);
  }

  add(id: number, text: string, hidden: boolean, revision: number): KnownNumber {
    // The watch may have told of what we have just written before its answer came: one number, one entry.
    const known = this.#byId.get(id);
    if (known?.text === text) return Object.assign(known, { hidden, revision });
    const { clock, usable } = this.#options;
    const entry: KnownNumber = { id, text, hidden, references: 0, freeSince: clock.monotonicMs(), revision };
    this.#byId.set(id, entry);
    // A text that two numbers stand for keeps the lower one, whoever reads it when.
    const other = this.#byText.get(text);
    if (!other || (other.references === 0 && (other.id > id || !usable(other)))) this.#byText.set(text, entry);
    return entry;
  }

  /** Takes over what stands in the store. Undefined, and nothing done, where that is no number of ours or not what is known of it. */
  learn(stored: KeyValue, hidden: boolean): KnownNumber | undefined {
    const id = this.#options.keys.idIn(stored.key, hidden);
    if (id === undefined) return undefined;
    const text = toText(stored.value);
    const known = this.#byId.get(id);
    if (known?.text === text && known.hidden === hidden) {
      known.revision = stored.modRevision;
      return known;
    }
    if (known) return undefined;
    return this.add(id, text, hidden, stored.modRevision);
  }

  forget(entry: KnownNumber): void {
    this.#byId.delete(entry.id);
    if (this.#byText.get(entry.text) === entry) this.#byText.delete(entry.text);
  }
}
