import type { KeyValue, WatchEvent } from '../../contract/index.ts';
import type { ResponseHeader } from '../wire/index.ts';
import { ChangeColumns } from './change-columns.ts';
import { type Fingerprint, RecentKeys } from './fingerprint.ts';
import { lastKeyOf } from './list.ts';
import type { WatchNotice } from './watch-reader.ts';

interface Deletion {
  readonly key: Uint8Array;
  readonly revision: number;
}

/**
 * How far a prefix has been followed, and by what a store can be recognised after a reconnect. The rules are strict, since
 * a wrong step loses events without a word: `next` follows events and progress notices of this very watch, and nothing
 * else. The revision in a response's header runs ahead of the events, so "created" and manual progress prove nothing.
 */
export class Position {
  /** The revision that the listing shows; 0 until its first page. */
  listRevision = 0;
  /** The last key of the listing that was handed over. */
  lastKey: Uint8Array | undefined;
  /** True once the listing is complete. */
  listed = false;
  /** The first revision that was not handed over; meaningful once listed. */
  next = 0;
  /** Keys that exist under the prefix. */
  keys = 0;
  readonly recent = new RecentKeys();
  /** Where the last event was a deletion: of which key, and when. */
  lastDelete: Deletion | undefined;
  /** The newest key of any prefix that was seen in the same store, and is no newer than what was handed over. */
  landmark: Fingerprint | undefined;
  /** Of the landmarks, when the listing began. */
  era = 0;
  /** Behind which a new watch has to begin, where not everything since is proven; see `recognise`. */
  provenTo: number | undefined;
  /** The store has compacted what is between that and what was handed over. */
  forgotten = false;
  #newestListed: KeyValue | undefined;
  #clusterId: bigint | undefined;
  #raftTerm = 0n;

  /** True when the header may come from the store that we know: same id, and an election count that did not go back. */
  knows(header: ResponseHeader): boolean {
    return (this.#clusterId === undefined || this.#clusterId === header.clusterId) && header.raftTerm >= this.#raftTerm;
  }

  observe(header: ResponseHeader): void {
    this.#clusterId = header.clusterId;
    if (header.raftTerm > this.#raftTerm) this.#raftTerm = header.raftTerm;
  }

  /** The revision up to which everything was handed over. */
  get revision(): number {
    return this.listed ? this.next - 1 : this.listRevision;
  }

  applyEntries(entries: ChangeColumns): void {
    this.keys += entries.length;
    this.lastKey = lastKeyOf(entries) ?? this.lastKey;
    this.recent.apply(entries);
    const newest = entries.newest;
    if (newest === undefined || entries.revisions[newest]! <= (this.#newestListed?.modRevision ?? 0)) return;
    const { key, value, ...rest } = entries.entryAt(newest);
    // What it lies in is used again.
    this.#newestListed = { ...rest, key: new Uint8Array(key), value: new Uint8Array(value) };
  }

  finishListing(): void {
    this.listed = true;
    if (this.#newestListed) this.recent.add(this.#newestListed);
    this.#newestListed = undefined;
    this.next = this.listRevision + 1;
  }

  applyEvents(events: readonly WatchEvent[] | ChangeColumns): void {
    if (events instanceof ChangeColumns) {
      this.keys += events.growth;
      if (events.length > 0) {
        this.next = events.lastRevision + 1;
        const last = events.length - 1;
        const isDeletion = (events.spans[4 * last + 2] as number) < 0;
        this.lastDelete = isDeletion ? deletion(events.keyAt(last), events.lastRevision) : undefined;
      }
    } else {
      for (const event of events) {
        if (event.type === 'delete') this.keys -= 1;
        else if (event.entry.version === 1) this.keys += 1;
      }
      const last = events.at(-1);
      if (last) {
        this.next = revisionOf(last) + 1;
        this.lastDelete = last.type === 'delete' ? deletion(last.key, last.revision) : undefined;
      }
    }
    this.recent.apply(events);
  }

  /** A response whose events, if any, were applied. */
  applyNotice(notice: WatchNotice): void {
    const isProgress = notice.events === 0 && !notice.created && !notice.canceled && notice.watchId >= 0n;
    if (isProgress && notice.header && notice.header.revision >= this.next) this.next = notice.header.revision + 1;
    this.forgotten = false;
  }
}

function revisionOf(event: WatchEvent): number {
  return event.type === 'put' ? event.entry.modRevision : event.revision;
}

function deletion(key: Uint8Array, revision: number): Deletion {
  return { key: new Uint8Array(key), revision };
}
