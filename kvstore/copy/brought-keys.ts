import { type KeyValue, type Operation, toText } from '../contract/index.ts';
import type { LeaseSlot } from '../sync/index.ts';
import { keyTextOf } from './wish.ts';

/** Says in the transaction that writes them which keys without lease are a copier's. */
export interface BroughtRecord {
  readonly operation: Operation;
  /** The transaction made this revision. */
  written(revision: number): void;
  /** It changed nothing. */
  refused(): void;
  /** The lease that it is under was lost: it says nothing any more, be it that the transaction was carried out. */
  readonly lost: boolean;
}

/** A record in the store, and the slot of the lease under which it is. */
interface Place {
  readonly key: string;
  readonly slot: LeaseSlot;
  /** What it tells of, as far as nothing newer does. */
  readonly texts: Set<string>;
}

/**
 * Keys that copiers brought without lease. A record under the copier's lease names those of one transaction, and has the
 * revision of that transaction: a key that has it still was written by a copier last, and by nobody else since.
 */
export class BroughtKeys {
  readonly #attach: (signal: AbortSignal) => Promise<Omit<Place, 'texts'>>;
  /** Revision of the youngest record that names a key. */
  readonly #revisions = new Map<string, number>();
  /** Records of ours, by their keys. */
  readonly #places = new Map<string, Place>();
  /** Which of them tells of a key. */
  readonly #placeOf = new Map<string, Place>();
  #free: Place[] = [];

  /** @param attach gives a key for one more record, in a slot of a lease */
  constructor(attach: (signal: AbortSignal) => Promise<Omit<Place, 'texts'>>) {
    this.#attach = attach;
  }

  /** Learns what the store says; what was known may be otherwise by now. */
  learn(records: readonly Pick<KeyValue, 'key' | 'value' | 'modRevision'>[]): void {
    this.#revisions.clear();
    this.#placeOf.clear();
    for (const [key, place] of this.#places)
      if (place.slot.lost) this.#places.delete(key);
      else place.texts.clear();
    for (const { key, value, modRevision } of records.toSorted((a, b) => a.modRevision - b.modRevision)) {
      const place = this.#places.get(toText(key));
      for (const text of textsIn(value)) {
        this.#placeOf.get(text)?.texts.delete(text);
        this.#placeOf.delete(text);
        this.#revisions.set(text, modRevision);
        if (!place) continue;
        place.texts.add(text);
        this.#placeOf.set(text, place);
      }
    }
    this.#free = [...this.#places.values()].filter(({ texts }) => texts.size === 0);
  }

  /** Whether a copier wrote this key last. */
  has(text: string, modRevision: number): boolean {
    return this.#revisions.get(text) === modRevision;
  }

  /** Whether a record of ours says so. */
  isOwn(text: string): boolean {
    return this.#placeOf.has(text);
  }

  async record(texts: readonly string[], signal: AbortSignal): Promise<BroughtRecord> {
    const place = this.#unused() ?? { ...(await this.#attach(signal)), texts: new Set() };
    this.#places.set(place.key, place);
    const value = JSON.stringify(texts.map((text) => Buffer.from(text, 'latin1').toString('base64')));
    return {
      operation: { type: 'put', key: place.key, value, lease: place.slot.lease.id },
      refused: () => void this.#free.push(place),
      get lost() {
        return place.slot.lost;
      },
      written: (revision) => {
        for (const text of texts) {
          this.forget(text);
          place.texts.add(text);
          this.#placeOf.set(text, place);
          this.#revisions.set(text, revision);
        }
      },
    };
  }

  /** The key is gone, or somebody else's. A record that tells of nothing any more is used again. */
  forget(text: string): void {
    this.#revisions.delete(text);
    const place = this.#placeOf.get(text);
    if (!place) return;
    this.#placeOf.delete(text);
    place.texts.delete(text);
    if (place.texts.size === 0) this.#free.push(place);
  }

  #unused(): Place | undefined {
    for (;;) {
      const place = this.#free.pop();
      if (!place?.slot.lost) return place;
      this.#places.delete(place.key);
    }
  }
}

function textsIn(value: Uint8Array): readonly string[] {
  try {
    const keys: unknown = JSON.parse(toText(value));
    if (!Array.isArray(keys)) return [];
    return keys.filter((key) => typeof key === 'string').map((key) => keyTextOf(Buffer.from(key, 'base64')));
  } catch {
    // Not of this version: its keys count as somebody else's.
    return [];
  }
}
