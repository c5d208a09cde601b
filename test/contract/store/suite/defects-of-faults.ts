import {
  type Bytes,
  KvStoreError,
  type Lock,
  PermissionDeniedError,
  type Store,
  UnavailableError,
  type WatchBatch,
  type WatchOptions,
  toBytes,
  toText,
} from '../../../../kvstore/index.ts';
import { type Defect, leaseLike } from './defect.ts';
import { passing } from './defective-watches.ts';
import type { Disturbance, StorePromises } from './ports.ts';

type Batches = AsyncGenerator<WatchBatch, void, void>;

const by =
  (disturbance: Disturbance, promised: (promises: StorePromises) => boolean = () => true) =>
  (promises: StorePromises, disturbances: readonly Disturbance[]): boolean =>
    disturbances.includes(disturbance) && promised(promises);

/** What can be wrong with who is disturbed: a line is cut or hangs, a server ends, a right is taken away, a store is put back. */
export const defectsOfFaults: readonly Defect[] = [
  {
    title: 'does not renew its leases',
    promise: 'E7',
    finder: /outlives cuts/,
    waits: true,
    where: by('breakable', ({ endsOnTime }) => endsOnTime),
    wrap: (store) =>
      passing(store, {
        grantLease: async (options) => {
          const lease = await store.grantLease(options);
          await lease[Symbol.asyncDispose]();
          return leaseLike(lease, () => lease.revoke());
        },
      }),
  },
  {
    title: 'does not tell the holder of a lock that it has lost it',
    promise: 'X6',
    waits: true,
    // The holder hears of it with its next renewal, after two seconds.
    patienceMs: 6_000,
    wrap: (store) =>
      passing(store, {
        lock: async (name, options) => {
          const lock = await store.lock(name, options);
          return {
            key: lock.key,
            createRevision: lock.createRevision,
            lost: new AbortController().signal,
            fence: () => lock.fence(),
            release: () => lock.release(),
            [Symbol.asyncDispose]: () => lock.release(),
          };
        },
      }),
  },
  {
    title: 'gives a lock to whoever has waited for a moment',
    promise: 'X7',
    where: by('resume'),
    wrap: (store) =>
      passing(store, {
        lock: (name, options) => {
          const given = store.lock(name, options);
          given.catch(() => undefined);
          return Promise.race([given, takenAfter(1, name)]);
        },
      }),
  },
  {
    title: 'takes rights that were taken away for deletions',
    promise: 'A5',
    where: by('guarded'),
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => emptyWhenRefused(store, prefix, options) }),
  },
  {
    title: 'acknowledges a transaction now and then that it does not take',
    promise: 'F1',
    finder: /under way/,
    where: by('restart'),
    wrap: (store) => {
      let count = 0;
      return passing(store, {
        transact: async (transaction, options) =>
          ++count % 5 === 0 ? { succeeded: true, revision: 1, results: [] } : store.transact(transaction, options),
      });
    },
  },
  {
    title: 'lists anew now and then',
    promise: 'F2',
    finder: /goes on across a restart/,
    where: by('resume'),
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => listsAnew(store, prefix, options) }),
  },
  {
    title: 'repeats a write whose answer was lost',
    promise: 'F3',
    finder: /a write over a line/,
    // A Consul takes the same value once more for no change.
    where: by('breakable', ({ countsVersions }) => countsVersions),
    wrap: (store) => passing(store, { put: (...request) => untilAnswered(() => store.put(...request)) }),
  },
  {
    title: 'takes a new listing after a compaction for more of the same',
    promise: 'F4',
    patienceMs: 5_000,
    waits: true,
    where: by('breakable', ({ history }) => history),
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => oneListing(store, prefix, options) }),
  },
  {
    title: 'keeps what a store that was put back does not have',
    promise: 'F6',
    finder: /ends with what the copy holds/,
    patienceMs: 5_000,
    waits: true,
    where: by('backup'),
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => oneListing(store, prefix, options) }),
  },
  {
    title: 'acknowledges a write now and then that it does not take',
    promise: 'F7',
    finder: /acknowledged before, during and after/,
    // There is a new leader first.
    patienceMs: 60_000,
    waits: true,
    where: by('killLeader'),
    wrap: (store) => {
      let count = 0;
      return passing(store, {
        put: async (...request) => (++count % 7 === 0 ? { revision: 1 } : store.put(...request)),
      });
    },
  },
  {
    title: 'takes a store that does not answer for one that has nothing',
    promise: 'F8',
    waits: true,
    where: by('breakable'),
    wrap: (store) => passing(store, { get: (...request) => store.get(...request).catch(unlessUnavailable(undefined)) }),
  },
];

function unlessUnavailable<T>(answer: T): (error: unknown) => T {
  return (error) => {
    if (!(error instanceof UnavailableError)) throw error;
    return answer;
  };
}

async function untilAnswered<T>(call: () => Promise<T>): Promise<T> {
  for (;;)
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof KvStoreError) || error.retry !== 'again') throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

/** A lock that nobody has given. */
async function takenAfter(ms: number, name: Bytes): Promise<Lock> {
  await new Promise((resolve) => setTimeout(resolve, ms));
  const key = toBytes(`${toText(toBytes(name))}/0`);
  return {
    key,
    createRevision: 0,
    lost: new AbortController().signal,
    fence: () => ({ key, target: 'create', result: 'equal', value: 0 }),
    release: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** A second listing passes for changes: what it lacks stays. */
async function* oneListing(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  let synced = false;
  for await (const batch of store.listAndWatch(prefix, options)) {
    if (batch.type === 'changes' || !synced) yield batch;
    if (batch.type === 'synced') synced = true;
  }
}

/** After ten changes it begins from its beginning. */
async function* listsAnew(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  while (!options.signal.aborted) {
    let synced = false;
    let changes = 0;
    for await (const batch of store.listAndWatch(prefix, options)) {
      yield batch;
      if (batch.type === 'synced') synced = true;
      else if (batch.type === 'changes' && synced) changes += batch.events.length;
      if (changes >= 10) break;
    }
  }
}

/** Asks with each change whether it may read, and takes a refusal for an empty store. */
async function* emptyWhenRefused(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  let synced = false;
  let refused = false;
  try {
    for await (const batch of store.listAndWatch(prefix, options)) {
      if (synced && !refused && (await isRefused(store, prefix))) {
        refused = true;
        yield* nothingThere();
      }
      synced ||= batch.type === 'synced';
      yield batch;
    }
  } catch (error) {
    if (!(error instanceof PermissionDeniedError)) throw error;
    yield* nothingThere();
  }
  const { signal } = options;
  if (!signal.aborted)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function* nothingThere(): Generator<WatchBatch, void, void> {
  yield { type: 'restart', reason: 'compacted' };
  yield { type: 'synced', revision: 1 };
}

async function isRefused(store: Store, prefix: Bytes): Promise<boolean> {
  try {
    for await (const _page of store.list(prefix, { pageSize: 1 })) return false;
  } catch (error) {
    return error instanceof PermissionDeniedError;
  }
  return false;
}
