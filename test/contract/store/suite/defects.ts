import { expect } from '@jest/globals';
import type { ListOptions, Lock, Page, Store, WatchBatch, WatchEvent } from '../../../../kvstore/index.ts';
import { ClosedError, PermissionDeniedError, toBytes, toText } from '../../../../kvstore/index.ts';
import type { ContractCase } from './cases.ts';
import type { StoreContext } from './context.ts';
import { type Defect, leaseLike } from './defect.ts';
import { defectsOfData } from './defects-of-data.ts';
import { defectsOfFaults } from './defects-of-faults.ts';
import { defectsOfHolders } from './defects-of-holders.ts';
import type { Disturbance, StorePromises } from './ports.ts';
import { withPatience } from './waiting.ts';
import {
  changedLive,
  deafToReplacement,
  dropsWaiting,
  firstFalseSync,
  lateOrder,
  passing,
  splitBatches,
} from './defective-watches.ts';

const defects: readonly Defect[] = [
  {
    title: 'takes values for text',
    promise: 'D1',
    wrap: (store) =>
      passing(store, {
        put: (key, value, options) => store.put(key, toText(toBytes(value)), options),
        transact: (transaction, options) =>
          store.transact(
            {
              ...transaction,
              then: transaction.then.map((op) =>
                op.type === 'put' ? { ...op, value: toText(toBytes(op.value)) } : op,
              ),
            },
            options,
          ),
      }),
  },
  {
    title: 'cuts large values short',
    promise: 'D3',
    wrap: (store) =>
      passing(store, { put: (key, value, options) => store.put(key, toBytes(value).subarray(0, 65_536), options) }),
  },
  {
    title: 'leaves out a put that changes nothing',
    promise: 'R1',
    wrap: (store) =>
      passing(store, {
        put: async (key, value, options) => {
          const entry = await store.get(key);
          const same = entry && Buffer.compare(entry.value, toBytes(value)) === 0;
          return same ? { revision: entry.modRevision } : store.put(key, value, options);
        },
      }),
  },
  {
    title: 'answers for a future revision',
    promise: 'R4',
    finder: /future/,
    wrap: (store) => passing(store, { get: (key) => store.get(key) }),
  },
  {
    title: 'answers reads from what it read a moment ago',
    promise: 'W1',
    wrap: (store) => {
      const cache = new Map<string, ReturnType<Store['get']>>();
      return passing(store, {
        get: (key, options) => {
          const name = toText(toBytes(key));
          const found = cache.get(name) ?? store.get(key, options);
          cache.set(name, found);
          return found;
        },
      });
    },
  },
  {
    title: 'says that it deleted what was not there',
    promise: 'W3',
    wrap: (store) =>
      passing(store, { delete: async (key, options) => ({ ...(await store.delete(key, options)), deleted: true }) }),
  },
  {
    title: 'leaves the last key of a deleted prefix',
    promise: 'W4',
    wrap: (store) =>
      passing(store, {
        deletePrefix: async (prefix, options) => {
          const keys: Uint8Array[] = [];
          for await (const page of store.list(prefix)) keys.push(...page.entries.map(({ key }) => key));
          let revision = 0;
          for (const key of keys.slice(0, -1)) ({ revision } = await store.delete(key, options));
          return { revision, deleted: keys.length };
        },
      }),
  },
  {
    title: 'loses the first entry of each further page',
    promise: 'L2',
    wrap: (store) =>
      passing(store, {
        list: async function* (prefix, options) {
          let first = true;
          for await (const page of store.list(prefix, options)) {
            yield first ? page : { ...page, entries: page.entries.slice(1) };
            first = false;
          }
        },
      }),
  },
  {
    title: 'reads every page of a listing as of now',
    promise: 'L3',
    wrap: (store) => passing(store, { list: (prefix, options) => pagesOfNow(store, prefix, options) }),
  },
  {
    title: 'compares first and writes later',
    promise: 'T5',
    wrap: (store) =>
      passing(store, {
        transact: async ({ when, then, otherwise = [] }, options) => {
          const { succeeded } = await store.transact({ when, then: [] }, options);
          const applied = await store.transact({ when: [], then: succeeded ? then : otherwise }, options);
          return { ...applied, succeeded };
        },
      }),
  },
  {
    title: 'applies a transaction step by step',
    promise: 'T2',
    wrap: (store) =>
      passing(store, {
        transact: async (transaction, options) => {
          if (transaction.when.length > 0) return store.transact(transaction, options);
          const steps = [];
          for (const step of transaction.then) steps.push(await store.transact({ when: [], then: [step] }, options));
          return {
            succeeded: true,
            revision: steps.at(-1)?.revision ?? 0,
            results: steps.flatMap(({ results }) => results),
          };
        },
      }),
  },
  {
    title: 'is synced before its listing has ended',
    promise: 'O1',
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => firstFalseSync(store, prefix, options) }),
  },
  {
    title: 'swaps changes',
    waits: true,
    promise: 'O2',
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => lateOrder(store, prefix, options) }),
  },
  {
    title: 'loses a change now and then',
    waits: true,
    promise: 'O3',
    wrap: (store) => {
      let count = 0;
      return passing(store, {
        listAndWatch: (prefix, options) =>
          changedLive(store, prefix, options, (events) => events.filter(() => ++count % 5 !== 1)),
      });
    },
  },
  {
    title: 'gives a change twice',
    waits: true,
    promise: 'O3',
    wrap: (store) =>
      passing(store, {
        listAndWatch: (prefix, options) =>
          changedLive(store, prefix, options, (events) => events.flatMap((event) => [event, event])),
      }),
  },
  {
    title: 'splits a revision between batches',
    promise: 'O4',
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => splitBatches(store, prefix, options) }),
  },
  {
    title: 'forgets the leases of what it watches',
    promise: 'O5',
    wrap: (store) =>
      passing(store, {
        listAndWatch: (prefix, options) =>
          changedLive(store, prefix, options, (events) =>
            events.map((event): WatchEvent => {
              if (event.type === 'delete') return event;
              const { key, value, createRevision, modRevision, version } = event.entry;
              return { type: 'put', entry: { key, value, createRevision, modRevision, version, lease: 0n } };
            }),
          ),
      }),
  },
  {
    title: 'watches more than its prefix',
    promise: 'O6',
    wrap: (store) =>
      passing(store, {
        listAndWatch: (prefix, options) => store.listAndWatch(toBytes(prefix).subarray(0, -2), options),
      }),
  },
  {
    title: 'drops what waits for a slow reader',
    waits: true,
    promise: 'O7',
    finder: /ends with what is left|neither writers/,
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => dropsWaiting(store, prefix, options) }),
  },
  {
    title: 'leaves a key on the lease that a later put did not name',
    promise: 'E1',
    wrap: (store) =>
      passing(store, {
        put: async (key, value, options = {}) => {
          const lease = options.lease ?? (await store.get(key))?.lease ?? 0n;
          return store.put(key, value, { ...options, lease });
        },
      }),
  },
  {
    title: 'leaves the keys of a revoked lease',
    promise: 'E3',
    wrap: (store) =>
      passing(store, {
        grantLease: async (options) =>
          leaseLike(await store.grantLease(options), (lease) => lease[Symbol.asyncDispose]()),
      }),
  },
  {
    title: 'takes a lease that is not there for none',
    promise: 'E4',
    wrap: (store) =>
      passing(store, {
        put: (key, value, options) => store.put(key, value, options).catch(() => store.put(key, value)),
      }),
  },
  {
    title: 'ends a lease early',
    waits: true,
    promise: 'E5',
    finder: /never before/,
    where: ({ endsOnTime }) => endsOnTime,
    wrap: (store) =>
      passing(store, {
        grantLease: async ({ ttlSeconds, ...options }) => {
          const lease = await store.grantLease({ ...options, ttlSeconds: ttlSeconds / 2 });
          return leaseLike(lease, () => lease.revoke(), ttlSeconds);
        },
      }),
  },
  {
    title: 'tells nobody that a lease is gone',
    promise: 'E6',
    finder: /who revokes/,
    wrap: (store) =>
      passing(store, {
        grantLease: async (options) => {
          const lease = await store.grantLease(options);
          return { ...leaseLike(lease, () => lease.revoke()), lost: new AbortController().signal };
        },
      }),
  },
  {
    title: 'gives a lock to everybody',
    promise: 'X2',
    finder: /a second caller|more than one/,
    wrap: (store) => {
      let count = 0;
      return passing(store, { lock: (name, options) => store.lock(`${toText(toBytes(name))}-${++count}`, options) });
    },
  },
  {
    title: 'has fences that always hold',
    promise: 'X4',
    wrap: (store) =>
      passing(store, {
        lock: async (name, options): Promise<Lock> => {
          const lock = await store.lock(name, options);
          return {
            key: lock.key,
            createRevision: lock.createRevision,
            lost: lock.lost,
            release: () => lock.release(),
            [Symbol.asyncDispose]: () => lock.release(),
            fence: () => ({ key: 'no such key', target: 'create', result: 'equal', value: 0 }),
          };
        },
      }),
  },
  {
    title: 'goes on after its signal has aborted',
    promise: 'C1',
    finder: /put with/,
    wrap: (store) => passing(store, { put: (key, value) => store.put(key, value) }),
  },
  {
    title: 'answers although it was closed',
    promise: 'C2',
    wrap: (store) =>
      passing(store, {
        get: (key, options) =>
          store.get(key, options).catch((error: unknown) => {
            if (!(error instanceof ClosedError)) throw error;
            return undefined;
          }),
      }),
  },
  {
    title: 'takes a wiped store for the one it knew',
    waits: true,
    promise: 'F5',
    finder: /keeps what it knows/,
    where: (_promises, disturbances) => disturbances.includes('wipe'),
    wrap: (store) => passing(store, { listAndWatch: (prefix, options) => deafToReplacement(store, prefix, options) }),
  },
  {
    title: 'takes what may not be read for absent',
    promise: 'A2',
    where: (_promises, disturbances) => disturbances.includes('guarded'),
    wrap: (store) =>
      passing(store, {
        get: (key, options) => store.get(key, options).catch(absentIfDenied),
        transact: (transaction, options) =>
          store.transact(transaction, options).catch((error: unknown) => {
            absentIfDenied(error);
            return { succeeded: true, revision: 0, results: [] };
          }),
      }),
  },
  {
    title: 'takes what may not be watched for empty',
    promise: 'A3',
    where: (_promises, disturbances) => disturbances.includes('guarded'),
    wrap: (store) =>
      passing(store, {
        listAndWatch: async function* (prefix, options): AsyncGenerator<WatchBatch, void, void> {
          try {
            yield* store.listAndWatch(prefix, options);
          } catch (error) {
            absentIfDenied(error);
            yield { type: 'synced', revision: 0 };
          }
        },
      }),
  },
];

/** The defects that a store of these promises can have. */
export function defectsFor(promises: StorePromises, disturbances: readonly Disturbance[]): readonly Defect[] {
  const all = [...defects, ...defectsOfData, ...defectsOfHolders, ...defectsOfFaults];
  return all.filter(({ where }) => where === undefined || where(promises, disturbances));
}

/** Tries the cases of the defect's promise until one fails. @throws if none does */
export async function whatFinds(
  defect: Defect,
  cases: readonly ContractCase[],
  context: StoreContext,
): Promise<string> {
  const { promise, finder = /./, wrap, patienceMs = defectPatienceMs } = defect;
  const wrapped = new WeakMap<Store, Store>();
  const leftOver: (() => Promise<void>)[] = [];
  const once = (store: Store): Store => {
    const found = wrapped.get(store) ?? wrap(withLeftOvers(store, leftOver));
    wrapped.set(store, found);
    return found;
  };
  const tried = cases.filter((one) => one.promise === promise && finder.test(one.title));
  expect(tried).not.toEqual([]);
  for (const { title, run } of tried) {
    // Where a case waits for what never comes, this is how long: it fails the sooner, and that is what is asked for.
    const failed = await context.wrapped(once, () => withPatience(patienceMs, () => run().then(nothing, reason)));
    // A case that fails does not clean up, and a lease that ends later would disturb whoever comes next.
    for (const clear of leftOver.splice(0)) await clear().catch(nothing);
    if (failed !== undefined) return title;
  }
  throw new Error(`Nothing fails: ${tried.map(({ title }) => title).join('; ')}`);
}

/** Notes what has to be ended: leases and locks. */
function withLeftOvers(store: Store, leftOver: (() => Promise<void>)[]): Store {
  return passing(store, {
    grantLease: async (options) => {
      const lease = await store.grantLease(options);
      leftOver.push(() => lease.revoke());
      return lease;
    },
    lock: async (name, options) => {
      const lock = await store.lock(name, options);
      leftOver.push(() => lock.release());
      return lock;
    },
  });
}

const defectPatienceMs = 2000;
const nothing = (): undefined => undefined;
const reason = (error: unknown): unknown => error ?? new Error('Failed without a reason');

/** Undefined in the place of a refusal. */
function absentIfDenied(error: unknown): undefined {
  if (!(error instanceof PermissionDeniedError)) throw error;
}

/** Pages of the asked size, each cut from a listing of its own. */
async function* pagesOfNow(store: Store, prefix: string | Uint8Array, options: ListOptions = {}): AsyncGenerator<Page> {
  const size = options.pageSize ?? 1000;
  for (let from = 0; ; from += size) {
    const entries: Page['entries'][number][] = [];
    let revision = 0;
    for await (const page of store.list(prefix)) {
      entries.push(...page.entries);
      ({ revision } = page);
    }
    yield { entries: entries.slice(from, from + size), revision, more: from + size < entries.length };
    if (from + size >= entries.length) return;
  }
}
