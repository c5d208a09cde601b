import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import {
  type EtcdStoreOptions,
  type Lease,
  type Store,
  UnavailableError,
  type WatchBatch,
} from '../../../../kvstore/index.ts';
import { type Clock, systemClock } from '../../../../runtime/clock/index.ts';
import { deafToReplacement, dropsWaiting, passing } from '../../../contract/store/suite/defective-watches.ts';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { faultCases } from './fault-cases.ts';
import { leaseCases } from './lease-cases.ts';
import { withPatience } from './mirror.ts';
import { type Flaw, type Owe, type StartScene, openScene } from './scene.ts';
import { stageCases } from './stage-cases.ts';
import { type Subject, embeddedSubject, etcdSubject } from './subjects.ts';

jest.setTimeout(120_000);

type Batches = AsyncGenerator<WatchBatch, void, void>;
type Follow = Store['listAndWatch'];

const following = (follow: (store: Store, ...args: Parameters<Follow>) => Batches): Flaw => ({
  wrap: (store) => passing(store, { listAndWatch: (prefix, options) => follow(store, prefix, options) }),
});
const leasing = (change: (lease: Lease) => Lease | Promise<Lease>): Flaw => ({
  wrap: (store) => passing(store, { grantLease: async (options) => await change(await store.grantLease(options)) }),
});

/** Takes the end of a stream for the end of the listing. */
async function* trustsTheEnd(store: Store, ...[prefix, { signal }]: Parameters<Follow>): Batches {
  yield { type: 'restart', reason: 'start' };
  let revision = 0;
  try {
    for await (const page of store.list(prefix, { signal, pageSize: 50 })) {
      ({ revision } = page);
      yield { type: 'changes', revision, events: page.entries.map((entry) => ({ type: 'put', entry })) };
    }
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
  }
  yield { type: 'synced', revision };
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
}

/** Goes on behind what comes first over a new connection. */
async function* losesTheFirst(store: Store, ...args: Parameters<Follow>): Batches {
  let { reconnections } = store.health();
  for await (const batch of store.listAndWatch(...args)) {
    const isNew = store.health().reconnections > reconnections;
    ({ reconnections } = store.health());
    if (!isNew || batch.type !== 'changes') yield batch;
  }
}

/** Takes a new listing for more of the same, so that nothing is found to be gone. */
async function* keepsWhatIsGone(store: Store, ...args: Parameters<Follow>): Batches {
  for await (const batch of store.listAndWatch(...args))
    if (batch.type !== 'restart' || batch.reason === 'start') yield batch;
}

/** Takes a store that it cannot reach for an empty one. */
async function* takesSilenceForEmpty(store: Store, ...args: Parameters<Follow>): Batches {
  const batches = store.listAndWatch(...args)[Symbol.asyncIterator]();
  let synced = false;
  for (let next = batches.next(); ;) {
    const look = new Promise<undefined>((resolve) => setTimeout(() => resolve(undefined), 20));
    const result = await Promise.race([next, look]);
    if (result?.done === true) return;
    if (result) {
      synced ||= result.value.type === 'synced';
      yield result.value;
      next = batches.next();
    } else if (synced && !store.health().connected) {
      yield { type: 'restart', reason: 'start' };
      yield { type: 'synced', revision: 0 };
    }
  }
}

/** Measures time by the wall. */
function byTheWall(clock: Clock): Clock {
  return {
    now: () => clock.now(),
    monotonicMs: () => clock.now(),
    sleep: (ms, signal) => clock.sleep(ms, signal),
    timer: (ms, run) => clock.timer(ms, run),
  };
}

interface Defect {
  readonly fault: string;
  /** Begins the title of the case that must find it. */
  readonly finder: string;
  readonly client: string;
  readonly flaw: Flaw;
  /** What the case says then. */
  readonly says: RegExp;
}

const defects: readonly Defect[] = [
  {
    fault: 'a cut at a stage of a listing',
    finder: 'broken at every stage of a listing (cut)',
    client: 'takes the end of a stream for the end of the listing',
    flaw: following(trustsTheEnd),
    says: /Not the state of the store: .* differs/,
  },
  {
    fault: 'a cut at a stage of a watch',
    finder: 'broken at every stage of a watch (cut)',
    client: 'goes on behind what comes first over a new connection',
    flaw: following(losesTheFirst),
    says: /Not the state of the store: new.* differs/,
  },
  {
    fault: 'a half-open connection',
    finder: 'half open',
    client: 'never asks whether the other end is there',
    flaw: { options: (options) => ({ ...options, pingIntervalMs: 3_600_000 }) },
    says: /Not the state of the store: new differs/,
  },
  {
    fault: 'compaction during a listing',
    finder: 'when history is compacted between two pages',
    client: 'takes a new listing for more of the same',
    flaw: following(keepsWhatIsGone),
    says: /Not the state of the store: going.* should not exist/,
  },
  {
    fault: 'compaction during an outage',
    finder: 'when history was compacted meanwhile',
    client: 'takes a new listing for more of the same',
    flaw: following(keepsWhatIsGone),
    says: /Not the state of the store: going.* should not exist/,
  },
  {
    fault: 'a wiped store',
    finder: 'when the store was wiped and refilled to more',
    client: 'takes whatever store answers for the one it knows',
    flaw: following(deafToReplacement),
    says: /Not the state of the store: .*differs/,
  },
  {
    fault: 'a restored backup',
    finder: 'when an older backup is restored and more',
    client: 'takes whatever store answers for the one it knows',
    flaw: following(deafToReplacement),
    says: /Not the state of the store: .*differs/,
  },
  {
    fault: 'a server that accepts and closes',
    finder: 'takes a connection that is accepted and closed',
    client: 'takes a store that it cannot reach for an empty one',
    flaw: following(takesSilenceForEmpty),
    says: /Expected: 20\n/,
  },
  {
    fault: 'a reader that had stopped',
    finder: 'catches up over more than 4 MiB',
    client: 'drops what waits for its reader',
    flaw: following(dropsWaiting),
    says: /Not the state of the store: big.* differs/,
  },
  {
    fault: 'a lease lost while cut off',
    finder: 'a lease that ends while its owner is cut off',
    client: 'tells nobody that the lease is gone',
    flaw: leasing((lease) => leaseLike(lease, new AbortController().signal)),
    says: /Not so after .*lease\.lost\.aborted/,
  },
  {
    fault: 'a clock that jumps an hour',
    finder: 'a wall clock that jumps an hour',
    client: 'measures time by the wall',
    flaw: { options: (options) => ({ ...options, clock: byTheWall(options.clock ?? systemClock) }) },
    says: /Expected: false\nReceived: true/,
  },
  {
    fault: 'two writers under one lease',
    finder: 'two writers under one lease',
    client: 'does not renew what others write under, too',
    flaw: leasing(async (lease) => {
      await lease[Symbol.asyncDispose]();
      return lease;
    }),
    says: /Expected: 32\n/,
  },
];

function leaseLike(lease: Lease, lost: AbortSignal): Lease {
  const { id, ttlSeconds } = lease;
  const dispose = (): Promise<void> => Promise.resolve(lease[Symbol.asyncDispose]());
  return { id, ttlSeconds, lost, revoke: () => lease.revoke(), [Symbol.asyncDispose]: dispose };
}

/** The case whose title begins so, with a client that has the flaw. */
function caseOf(finder: string, start: () => Promise<Subject>, flaw: Flaw): () => Promise<void> {
  const found = new Map<string, () => Promise<void>>();
  const scene: StartScene = (options: Partial<EtcdStoreOptions> = {}) => openScene(start, options, flaw);
  const owes: Owe = (title, run) => void (title.startsWith(finder) && found.set(title, run));
  faultCases(scene, owes, start === etcdSubject);
  stageCases(scene, owes);
  leaseCases(scene, owes);
  const [run, ...more] = found.values();
  if (!run || more.length > 0) throw new Error(`Not one case begins with "${finder}": ${[...found.keys()].join('; ')}`);
  return run;
}

/** Enough for all that is to come on a busy machine before what is missing is missed. */
const patienceMs = 8000;

async function whatFinds({ finder, flaw }: Defect, start: () => Promise<Subject>): Promise<string> {
  return await caseOf(finder, start, flaw)().then(
    () => 'Nothing was found',
    (error: unknown) => stripped(error instanceof Error ? error.message : String(error)),
  );
}

/** As it would be without a terminal. */
function stripped(text: string): string {
  // oxlint-disable-next-line no-control-regex
  return text.replaceAll(/\u001B\[\d+m/g, '');
}

describe('the cases of the etcd client find', () => {
  const results = new Map<Defect, Promise<string>>();
  // All at once: most of them wait for what does not come.
  beforeAll(async () => {
    await withPatience(patienceMs, async () => {
      for (const defect of defects) results.set(defect, whatFinds(defect, embeddedSubject));
      await Promise.all(results.values());
    });
  }, 120_000);

  test.each(defects)('in $fault: one that $client', async (defect) => {
    expect(await results.get(defect)).toMatch(defect.says);
  });
});

needs('etcd')('the cases of the etcd client before etcd 3.6 find', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);

  test('in a wiped store that has the same ids: one that takes whatever store answers for the one it knows', async () => {
    const [defect] = defects.filter(({ fault }) => fault === 'a wiped store');
    if (!defect) throw new Error('There is no such defect');
    expect(await withPatience(patienceMs, () => whatFinds(defect, etcdSubject))).toMatch(defect.says);
  });
});
