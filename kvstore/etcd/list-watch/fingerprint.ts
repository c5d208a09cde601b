import { createHash } from 'node:crypto';
import type { KeyValue, WatchEvent } from '../../contract/index.ts';

/** A key as it was when we saw it last: proof that a store is the one we know. */
export interface Fingerprint {
  readonly key: Uint8Array;
  readonly modRevision: number;
  readonly valueHash: string;
}

/** A few suffice: the newest is asked for, the others stand in when it is deleted. */
const kept = 8;

/** Whether the store holds what the fingerprint says. */
export function matches(fingerprint: Fingerprint, entry: KeyValue | undefined): boolean {
  return entry?.modRevision === fingerprint.modRevision && hashOf(entry.value) === fingerprint.valueHash;
}

/** The keys that were written last under a prefix and still exist. */
export class RecentKeys {
  readonly #byKey = new Map<string, Fingerprint>();

  get newest(): Fingerprint | undefined {
    return [...this.#byKey.values()].at(-1);
  }

  apply(events: readonly WatchEvent[]): void {
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
    this.#byKey.set(name, {
      key: entry.key.slice(),
      modRevision: entry.modRevision,
      valueHash: hashOf(entry.value),
    });
    for (const oldest of this.#byKey.keys()) {
      if (this.#byKey.size <= kept) break;
      this.#byKey.delete(oldest);
    }
  }
}

function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1');
}

function hashOf(value: Uint8Array): string {
  return createHash('sha256').update(value).digest('base64');
}
