import { accessCases } from './access.ts';
import type { Chapter } from './cases.ts';
import { closingCases } from './closing.ts';
import { cutCases } from './cuts.ts';
import { keyCases } from './keys.ts';
import { leaderCases } from './leaders.ts';
import { leaseTimeCases } from './lease-time.ts';
import { leaseCases } from './leases.ts';
import { lockCases } from './locks.ts';
import { pagingCases } from './paging.ts';
import type { Disturbance } from './ports.ts';
import { prefixCases } from './prefixes.ts';
import { readCases } from './reads.ts';
import { backupCases, wipeCases } from './replaced.ts';
import { restartCases, resumeCases } from './restarts.ts';
import { slowReaderCases } from './slow-readers.ts';
import { transactionCases } from './transactions.ts';
import { valueCases } from './values.ts';
import { watchOrderCases } from './watch-order.ts';
import { watchCases } from './watches.ts';

interface TitledChapter {
  readonly title: string;
  readonly chapter: Chapter;
  /** What the harness must be able to do. */
  readonly needs?: Disturbance;
}

/** The whole contract. What every store passes comes first, then what disturbs it; a wiped store has nothing left to lose. */
const chapters: readonly TitledChapter[] = [
  { title: 'keys', chapter: keyCases },
  { title: 'values', chapter: valueCases },
  { title: 'reads', chapter: readCases },
  { title: 'prefixes', chapter: prefixCases },
  { title: 'paging', chapter: pagingCases },
  { title: 'transactions', chapter: transactionCases },
  { title: 'watches', chapter: watchCases },
  { title: 'order of changes', chapter: watchOrderCases },
  { title: 'slow readers', chapter: slowReaderCases },
  { title: 'leases', chapter: leaseCases },
  { title: 'leases as time passes', chapter: leaseTimeCases },
  { title: 'locks', chapter: lockCases },
  { title: 'signals, health and closing', chapter: closingCases },
  { title: 'permissions', chapter: accessCases, needs: 'guarded' },
  { title: 'broken lines', chapter: cutCases, needs: 'breakable' },
  { title: 'restarts', chapter: restartCases, needs: 'restart' },
  { title: 'resumption', chapter: resumeCases, needs: 'resume' },
  { title: 'changes of leaders', chapter: leaderCases, needs: 'killLeader' },
  { title: 'earlier copies', chapter: backupCases, needs: 'backup' },
  { title: 'wiped stores', chapter: wipeCases, needs: 'wipe' },
];

/** The chapters for a harness that can do this to its store. */
export function chaptersFor(disturbances: readonly Disturbance[]): readonly TitledChapter[] {
  return chapters.filter(({ needs }) => needs === undefined || disturbances.includes(needs));
}
