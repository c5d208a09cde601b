import type { WatchEvent } from '../../contract/index.ts';
import type { ResponseHeader } from '../wire/index.ts';
import { ChangeColumns } from './change-columns.ts';
import { RecentKeys } from './fingerprint.ts';
import { lastKeyOf } from './list.ts';
import type { WatchNotice } from './watch-reader.ts';

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
  }

  finishListing(): void {
    this.listed = true;
    this.next = this.listRevision + 1;
  }

  applyEvents(events: readonly WatchEvent[] | ChangeColumns): void {
    if (events instanceof ChangeColumns) {
      this.keys += events.growth;
      if (events.length > 0) this.next = events.lastRevision + 1;
    } else {
      for (const event of events) {
        if (event.type === 'delete') this.keys -= 1;
        else if (event.entry.version === 1) this.keys += 1;
      }
      const last = events.at(-1);
      if (last) this.next = revisionOf(last) + 1;
    }
    this.recent.apply(events);
  }

  /** A response whose events, if any, were applied. */
  applyNotice(notice: WatchNotice): void {
    const isProgress = notice.events === 0 && !notice.created && !notice.canceled && notice.watchId >= 0n;
    if (isProgress && notice.header && notice.header.revision >= this.next) this.next = notice.header.revision + 1;
  }
}

function revisionOf(event: WatchEvent): number {
  return event.type === 'put' ? event.entry.modRevision : event.revision;
}
