import { randomInt } from 'node:crypto';
import { sessionOfLease, journalName, scopeOf } from '../keys.ts';
import { type WireChange, writeNote } from './note.ts';

/** Keys of a ring. A reader that is slower than so many transactions misses some, and finds them by comparing. */
const slots = 64;
/** Larger changes are left to comparing: every reader would read them with each later one. */
const maxNoteBytes = 8192;

/** A write as the journal tells it; readings are passed over. */
export type JournaledWrite =
  | { readonly type: 'put'; readonly key: string; readonly value: Uint8Array; readonly lease: bigint }
  | { readonly type: 'delete' | 'get'; readonly key: string };

/** A key of a ring with what it is to hold. */
export interface Note {
  readonly key: string;
  readonly text: string;
}

/**
 * The journal ring: each transaction of ours also sets one of 64 keys `<scope>.isthmus-journal/<slot>` to what it changed,
 * so that watchers of large prefixes learn of it from a short answer instead of reading a prefix. It is a hint: what it
 * misses (strangers' writes, sessions that expire, bulk loads, a slot that was overwritten) is found by comparing.
 */
export class JournalWriter {
  readonly #refused = new Set<string>();
  #slot = randomInt(slots);

  /** What is to be written beside these writes; nothing where it is too much, or may not be written. */
  notesOf(writes: readonly JournaledWrite[]): Note[] {
    const byScope = new Map<string, { readonly changes: WireChange[]; bytes: number }>();
    for (const write of writes) {
      const scope = scopeOf(write.key);
      if (write.type === 'get' || scope === '' || this.#refused.has(scope)) continue;
      const entry = byScope.get(scope) ?? { changes: [], bytes: 0 };
      byScope.set(scope, entry);
      entry.bytes += write.key.length + 64 + (write.type === 'put' ? write.value.length * 1.4 : 0);
      if (entry.bytes > maxNoteBytes) return [];
      entry.changes.push(changeOf(write));
    }
    return [...byScope].map(([scope, { changes }]) => ({ key: this.#nextKey(scope), text: writeNote(changes) }));
  }

  /** Whether a refusal was about the journal alone; it is then left alone from now on. */
  refusedBy(notes: readonly Note[], message: string): boolean {
    const refused = notes.filter(({ key }) => message.includes(`${scopeOf(key)}${journalName}`));
    for (const { key } of refused) this.#refused.add(scopeOf(key));
    return refused.length > 0;
  }

  #nextKey(scope: string): string {
    this.#slot = (this.#slot + 1) % slots;
    return `${scope}${journalName}${String(this.#slot).padStart(2, '0')}`;
  }
}

function changeOf(write: JournaledWrite): WireChange {
  if (write.type !== 'put') return [write.key];
  const session = write.lease === 0n ? '' : sessionOfLease(write.lease);
  return [write.key, Buffer.from(write.value).toString('base64'), session];
}
