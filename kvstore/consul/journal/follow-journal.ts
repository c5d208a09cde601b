import { exponential } from '../../../runtime/retry/index.ts';
import type { Clock } from '../../../runtime/clock/index.ts';
import { KvStoreError, PermissionDeniedError, toText } from '../../contract/index.ts';
import type { ConsulHttp } from '../http/index.ts';
import { journalName } from '../keys.ts';
import { readPrefix } from '../read.ts';
import { type JournaledChange, readNote } from './note.ts';

export interface FollowJournalOptions {
  readonly http: ConsulHttp;
  readonly clock: Clock;
  readonly random: () => number;
  /** First element of the path of the keys, with its slash. */
  readonly scope: string;
  readonly waitMs: number;
  /** Gets the changes of one answer, oldest first; the next is asked for when it has settled. */
  readonly onChanges: (changes: readonly JournaledChange[]) => Promise<void>;
}

const backoff = exponential({ firstMs: 50, maxMs: 2000 });
/** A prefix without keys is woken by every write of the store. */
const emptyRestMs = 250;

/**
 * Reads the ring of a scope until `signal` aborts. What it holds at first is old news. Ends where the ring may not be
 * read: it is a hint, and comparing goes on without it.
 */
export async function followJournal(options: FollowJournalOptions, signal: AbortSignal): Promise<void> {
  const { http, clock, random, scope, waitMs, onChanges } = options;
  const prefix = `${scope}${journalName}`;
  const what = `read the journal of ${JSON.stringify(scope)}`;
  let index: number | undefined;
  for (let failures = 0; ;) {
    try {
      const seen = index ?? Infinity;
      let notes: { readonly revision: number; readonly text: string }[] = [];
      let keys = 0;
      const found = await readPrefix(http, {
        prefix,
        what,
        signal,
        begin: () => {
          const fresh: typeof notes = (notes = []);
          keys = 0;
          return (entry) => {
            keys += 1;
            if (entry.modifyIndex > seen)
              fresh.push({ revision: entry.modifyIndex, text: toText(entry.toKeyValue().value) });
          };
        },
        ...(index === undefined ? {} : { after: { index, waitMs } }),
      });
      failures = 0;
      const changes = notes
        .toSorted((a, b) => a.revision - b.revision)
        .flatMap(({ revision, text }) => readNote(text, revision) ?? []);
      // An index that went back means another history: nothing of what is there counts as new.
      if (found >= (index ?? 0) && changes.length > 0) await onChanges(changes);
      index = Math.max(1, found);
      if (keys === 0) await clock.sleep(emptyRestMs, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof PermissionDeniedError) return;
      if (!(error instanceof KvStoreError) || error.retry === 'never') throw error;
      failures += 1;
      await clock.sleep(backoff(failures, random()), signal);
    }
  }
}
