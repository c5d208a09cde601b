import { type KeyValue, type WatchEvent, toText } from '../../contract/index.ts';
import type { RawEntry } from '../scan/index.ts';

interface Known {
  index: number;
  checksum: number;
  pass: number;
}

/** What of a snapshot differs from what is known. */
export interface Difference {
  readonly changed: readonly KeyValue[];
  readonly gone: readonly string[];
}

/**
 * Index and checksum of every key of a prefix, and what a new snapshot changes about it. Indexes are compared by
 * inequality: a store that was wiped or restored counts anew. Where even equal indexes prove nothing, checksums are
 * compared.
 */
export class KnownEntries {
  readonly #known = new Map<string, Known>();
  #pass = 0;

  get size(): number {
    return this.#known.size;
  }

  clear(): void {
    this.#known.clear();
  }

  /** Begins to look at a snapshot; nothing is known from it before {@link Snapshot.apply}. */
  compare(thorough: boolean): Snapshot {
    this.#pass += 1;
    return new Snapshot(this.#known, this.#pass, thorough);
  }
}

export class Snapshot {
  readonly #known: Map<string, Known>;
  readonly #pass: number;
  readonly #thorough: boolean;
  readonly #changed: { readonly name: string; readonly checksum: number; readonly entry: KeyValue }[] = [];
  #same = 0;

  constructor(known: Map<string, Known>, pass: number, thorough: boolean) {
    this.#known = known;
    this.#pass = pass;
    this.#thorough = thorough;
  }

  see(raw: RawEntry): void {
    const known = this.#known.get(raw.key);
    if (known && known.index === raw.modifyIndex && (!this.#thorough || known.checksum === raw.checksum())) {
      known.pass = this.#pass;
      this.#same += 1;
      return;
    }
    const entry = raw.toKeyValue();
    this.#changed.push({ name: toText(entry.key), checksum: raw.checksum(), entry });
  }

  /** The lowest revision of a key that was written since; infinite when none was. */
  get oldestChange(): number {
    return this.#changed.reduce((oldest, { entry }) => Math.min(oldest, entry.modRevision), Infinity);
  }

  /** Takes the snapshot as what is known now. Changes are in the order of their revisions, deletions in that of names. */
  apply(): Difference {
    // Most snapshots lack nothing: then there is no need to look for what is gone.
    const before = this.#known.size;
    let met = this.#same;
    for (const { name, checksum, entry } of this.#changed) {
      const known = this.#known.get(name);
      if (known) {
        met += 1;
        known.index = entry.modRevision;
        known.checksum = checksum;
        known.pass = this.#pass;
      } else this.#known.set(name, { index: entry.modRevision, checksum, pass: this.#pass });
    }
    const gone: string[] = [];
    if (met < before)
      for (const [name, known] of this.#known)
        if (known.pass !== this.#pass) {
          gone.push(name);
          this.#known.delete(name);
        }
    const changed = this.#changed.map(({ entry }) => entry).sort((a, b) => a.modRevision - b.modRevision);
    return { changed, gone: gone.sort(byBytes) };
  }
}

export function eventsOf({ changed, gone }: Difference, revision: number): WatchEvent[] {
  const encoder = new TextEncoder();
  return [
    ...changed.map((entry): WatchEvent => ({ type: 'put', entry })),
    ...gone.map((name): WatchEvent => ({ type: 'delete', key: encoder.encode(name), revision })),
  ];
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
