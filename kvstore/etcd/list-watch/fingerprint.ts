import { createHash } from 'node:crypto';
import type { KeyValue, WatchEvent } from '../../contract/index.ts';
import type { ChangeColumns } from './change-columns.ts';

/** A key as it was when we saw it last: proof that a store is the one we know. */
export interface Fingerprint {
  readonly key: Uint8Array;
  readonly modRevision: number;
  /** A short value itself, the hash of a long one. */
  readonly value: Uint8Array;
}

/** A store that is filled anew in the same way may have one of them again, at the same revision; hardly so many. */
const kept = 8;
/** Up to here a copy costs less than a hash, and hashes are only wanted after a reconnect. */
const shortBytes = 1024;

/** Whether the store holds what the fingerprint says. */
export function matches(fingerprint: Fingerprint, entry: KeyValue | undefined): boolean {
  return (
    entry !== undefined &&
    entry.modRevision === fingerprint.modRevision &&
    Buffer.compare(proofOf(entry.value), fingerprint.value) === 0
  );
}

/** The keys that were written last under a prefix and still exist. */
export class RecentKeys {
  readonly #byKey = new Map<string, Fingerprint>();
  #last: Fingerprint | undefined;

  /** Oldest first. */
  get all(): readonly Fingerprint[] {
    return [...this.#byKey.values()];
  }

  /** The one that was seen last, whether it still exists or not. */
  get last(): Fingerprint | undefined {
    return this.#last;
  }

  /** Adds one key beside what the batches told last: of a listing, the one that was written last. */
  add(entry: KeyValue): void {
    const known = this.#byKey.get(nameOf(entry.key));
    if (known?.modRevision !== entry.modRevision) this.#add(entry);
  }

  apply(events: readonly WatchEvent[] | ChangeColumns): void {
    if (Array.isArray(events)) {
      this.#applyAll(events);
      return;
    }
    const columns = events as ChangeColumns;
    if (columns.length > kept) {
      // What was newest before is not any more; only if nothing of these remains, all of them are looked at.
      this.#byKey.clear();
      const first = columns.length - kept;
      this.#applyAll(Array.from({ length: kept }, (_, i) => columns.eventAt(first + i)));
      if (this.#byKey.size > 0) return;
    }
    this.#applyAll(columns.events);
  }

  #applyAll(events: readonly WatchEvent[]): void {
    const tail = events.length - kept;
    for (const [i, event] of events.entries()) {
      if (event.type === 'delete') this.#byKey.delete(nameOf(event.key));
      else if (i >= tail) this.#add(event.entry);
      // What it says of this key is outdated, and newer ones follow.
      else if (this.#byKey.size > 0) this.#byKey.delete(nameOf(event.entry.key));
    }
  }

  #add(entry: KeyValue): void {
    const name = nameOf(entry.key);
    this.#byKey.delete(name);
    this.#last = { key: new Uint8Array(entry.key), modRevision: entry.modRevision, value: proofOf(entry.value) };
    this.#byKey.set(name, this.#last);
    for (const oldest of this.#byKey.keys()) {
      if (this.#byKey.size <= kept) break;
      this.#byKey.delete(oldest);
    }
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}

function proofOf(value: Uint8Array): Uint8Array {
  return value.length <= shortBytes ? new Uint8Array(value) : createHash('sha256').update(value).digest();
}
