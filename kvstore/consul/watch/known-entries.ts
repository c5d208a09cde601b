import { type KeyValue, type WatchEvent, toText } from '../../contract/index.ts';
import type { JournaledChange } from '../journal/index.ts';
import { type RawEntry, checksumOf } from '../scan/index.ts';
import { versionOf } from '../entry.ts';

interface Known {
  index: number;
  created: number;
  checksum: number;
  pass: number;
  /** Learned from the journal, and not yet met in an answer. */
  journaled: boolean;
}

/** What of a snapshot differs from what is known. */
export interface Difference {
  readonly changed: readonly KeyValue[];
  readonly gone: readonly { readonly name: string; readonly index: number }[];
}

/**
 * Index and checksum of every key of a prefix, and what a new snapshot changes about it. Indexes are compared by
 * inequality: a store that was wiped or restored counts anew. Where even equal indexes prove nothing, checksums are
 * compared. What the journal told runs ahead of snapshots, and is not taken back by an older one.
 */
export class KnownEntries {
  readonly #known: Map<string, Known>;
  /** Keys that the journal said are gone, by the revision of their deletion: older snapshots still have them. */
  readonly #removed = new Map<string, number>();
  #pass = 0;
  /** Counts what came from the journal. */
  #journaled = 0;
  #newestJournaled = 0;

  constructor(known = new Map<string, Known>()) {
    this.#known = known;
  }

  get size(): number {
    return this.#known.size;
  }

  get names(): Iterable<string> {
    return this.#known.keys();
  }

  /** Revision of the newest change that the journal told and no answer has confirmed; 0 for none. */
  get newestJournaled(): number {
    return this.#newestJournaled;
  }

  /** The highest index among the entries. */
  get highestIndex(): number {
    let highest = 0;
    for (const { index } of this.#known.values()) if (index > highest) highest = index;
    return highest;
  }

  clear(): void {
    this.#known.clear();
    this.#removed.clear();
    this.#newestJournaled = 0;
  }

  /** Hands every entry to the part that `partOf` names; this one is empty then. */
  split(partOf: (name: string) => string): Map<string, KnownEntries> {
    const parts = new Map<string, Map<string, Known>>();
    for (const [name, known] of this.#known) {
      const part = partOf(name);
      const entries = parts.get(part);
      if (entries) entries.set(name, known);
      else parts.set(part, new Map([[name, known]]));
    }
    this.clear();
    return new Map([...parts].map(([part, entries]) => [part, new KnownEntries(entries)]));
  }

  /** Takes over all that another one knows; the other one is empty then. */
  absorb(other: KnownEntries): void {
    for (const [name, known] of other.#known) {
      known.pass = 0;
      known.journaled = false;
      this.#known.set(name, known);
    }
    other.clear();
  }

  /** Begins to look at a snapshot; nothing is known from it before {@link Snapshot.apply}. */
  compare(thorough: boolean): Snapshot {
    this.#pass += 1;
    return new Snapshot(this, this.#pass, thorough);
  }

  /** Takes over what the journal tells, unless it is known already. Gives what is to be told to others. */
  journal(change: JournaledChange): WatchEvent | undefined {
    const { name, revision } = change;
    const known = this.#known.get(name);
    if (known && revision <= known.index) return undefined;
    if (change.value === undefined && !known) return undefined;
    this.#journaled += 1;
    this.#newestJournaled = Math.max(this.#newestJournaled, revision);
    const key = new TextEncoder().encode(name);
    if (change.value === undefined) {
      this.#known.delete(name);
      this.#removed.set(name, revision);
      return { type: 'delete', key, revision };
    }
    const created = known?.created ?? revision;
    const { base64, session, lease } = change.value;
    const entry = { index: revision, created, checksum: checksumOf(base64, session), pass: 0 };
    this.#known.set(name, { ...entry, journaled: true });
    this.#removed.delete(name);
    const value = new Uint8Array(Buffer.from(base64, 'base64'));
    const version = versionOf(created, revision);
    return {
      type: 'put',
      entry: { key, value, createRevision: created, modRevision: revision, version, lease },
    };
  }

  /** @internal what a snapshot says of one entry: nothing new, or the entry itself. */
  see(raw: RawEntry, pass: number, thorough: boolean): 'known' | 'gone' | 'changed' {
    const known = this.#known.get(raw.key);
    if (!known) {
      const removed = thorough ? undefined : this.#removed.get(raw.key);
      return removed !== undefined && raw.modifyIndex < removed ? 'gone' : 'changed';
    }
    const ahead = known.journaled && !thorough && raw.modifyIndex < known.index;
    const same = known.index === raw.modifyIndex && (!thorough || known.checksum === raw.checksum());
    if (!ahead && !same) return 'changed';
    known.pass = pass;
    if (!same) return 'known';
    known.journaled = false;
    // The journal does not know whether a stranger made the key anew before.
    known.created = raw.createIndex;
    return 'known';
  }

  /** @internal takes a snapshot over. */
  apply(snapshot: SeenEntries, index: number): Difference {
    const { pass, thorough, changed, same, journaledBefore } = snapshot;
    const before = this.#known.size;
    let met = same;
    const told: KeyValue[] = [];
    for (const { name, checksum, entry } of changed) {
      const known = this.#known.get(name);
      const { modRevision } = entry;
      // The journal may have gone on while the snapshot was being read.
      const overtaken = known?.journaled === true && known.index >= modRevision;
      if (!thorough && (overtaken || (!known && modRevision < (this.#removed.get(name) ?? 0)))) {
        if (known) known.pass = pass;
        met += known ? 1 : 0;
        continue;
      }
      if (known) met += 1;
      this.#known.set(name, { index: modRevision, created: entry.createRevision, checksum, pass, journaled: false });
      told.push(entry);
    }
    const gone: { readonly name: string; readonly index: number }[] = [];
    // Most snapshots lack nothing: then there is no need to look for what is gone.
    if (met < before || journaledBefore !== this.#journaled)
      for (const [name, known] of this.#known) {
        if (known.pass === pass || (!thorough && known.journaled && known.index > index)) continue;
        gone.push({ name, index: known.index });
        this.#known.delete(name);
      }
    for (const [name, revision] of this.#removed) if (thorough || revision <= index) this.#removed.delete(name);
    if (thorough || index >= this.#newestJournaled) this.#newestJournaled = 0;
    return {
      changed: told.sort((a, b) => a.modRevision - b.modRevision),
      gone: gone.sort((a, b) => byBytes(a.name, b.name)),
    };
  }

  /** @internal */
  get journaledCount(): number {
    return this.#journaled;
  }
}

/** What a snapshot has shown so far. */
interface SeenEntries {
  readonly pass: number;
  readonly thorough: boolean;
  readonly changed: readonly { readonly name: string; readonly checksum: number; readonly entry: KeyValue }[];
  readonly same: number;
  readonly journaledBefore: number;
}

export class Snapshot {
  readonly #entries: KnownEntries;
  readonly #pass: number;
  readonly #thorough: boolean;
  readonly #journaledBefore: number;
  readonly #changed: { readonly name: string; readonly checksum: number; readonly entry: KeyValue }[] = [];
  #same = 0;

  constructor(entries: KnownEntries, pass: number, thorough: boolean) {
    this.#entries = entries;
    this.#pass = pass;
    this.#thorough = thorough;
    this.#journaledBefore = entries.journaledCount;
  }

  see(raw: RawEntry): void {
    const seen = this.#entries.see(raw, this.#pass, this.#thorough);
    if (seen === 'known') this.#same += 1;
    if (seen !== 'changed') return;
    const entry = raw.toKeyValue();
    this.#changed.push({ name: toText(entry.key), checksum: raw.checksum(), entry });
  }

  /** The lowest revision of a key that was written since; infinite when none was. */
  get oldestChange(): number {
    return this.#changed.reduce((oldest, { entry }) => Math.min(oldest, entry.modRevision), Infinity);
  }

  /**
   * Takes the snapshot as what is known now. Changes are in the order of their revisions, deletions in that of names.
   * @param index of the answer
   */
  apply(index: number): Difference {
    const [pass, thorough, same] = [this.#pass, this.#thorough, this.#same];
    const journaledBefore = this.#journaledBefore;
    return this.#entries.apply({ pass, thorough, changed: this.#changed, same, journaledBefore }, index);
  }
}

export function eventsOf({ changed, gone }: Difference, revision: number): WatchEvent[] {
  const encoder = new TextEncoder();
  return [
    ...changed.map((entry): WatchEvent => ({ type: 'put', entry })),
    ...gone.map(({ name, index }): WatchEvent => ({
      type: 'delete',
      key: encoder.encode(name),
      revision: Math.max(revision, index),
    })),
  ];
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
