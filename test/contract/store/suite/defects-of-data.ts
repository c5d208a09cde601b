import { InvalidRequestError, type KeyValue, type Page, toBytes, toText } from '../../../../kvstore/index.ts';
import type { Defect } from './defect.ts';
import { passing } from './defective-watches.ts';

/** What can be wrong with values, revisions, listings and transactions, one call at a time. */
export const defectsOfData: readonly Defect[] = [
  {
    title: 'takes an empty value for none',
    promise: 'D2',
    wrap: (store) =>
      passing(store, {
        get: async (key, options) => {
          const entry = await store.get(key, options);
          return entry?.value.length === 0 ? undefined : entry;
        },
      }),
  },
  {
    title: 'cuts long keys short',
    promise: 'D4',
    wrap: (store) =>
      passing(store, { put: (key, value, options) => store.put(toBytes(key).subarray(0, 1024), value, options) }),
  },
  {
    title: 'keeps the buffers of its callers',
    promise: 'D5',
    finder: /again at once/,
    wrap: (store) => {
      const kept = new Map<string, Uint8Array>();
      return passing(store, {
        put: (key, value, options) => {
          kept.set(toText(toBytes(key)), toBytes(value));
          return store.put(key, value, options);
        },
        get: async (key, options) => {
          const entry = await store.get(key, options);
          return entry && { ...entry, value: kept.get(toText(toBytes(key))) ?? entry.value };
        },
      });
    },
  },
  {
    title: 'counts no versions',
    promise: 'R2',
    wrap: (store) =>
      passing(store, {
        get: async (key, options) => {
          const entry = await store.get(key, options);
          return entry && { ...entry, version: 1 };
        },
      }),
  },
  {
    title: 'tells revisions of a moment ago',
    promise: 'R3',
    finder: /at least that of the last write/,
    wrap: (store) => passing(store, { list: (prefix, options) => pages(store.list(prefix, options), older) }),
  },
  {
    title: 'gives one revision to all writes',
    promise: 'W2',
    finder: /growing revisions/,
    wrap: (store) => {
      let first: number | undefined;
      return passing(store, {
        put: async (key, value, options) => {
          const { revision } = await store.put(key, value, options);
          return { revision: (first ??= revision) };
        },
      });
    },
  },
  {
    title: 'lists from behind',
    promise: 'L1',
    wrap: (store) =>
      passing(store, {
        list: (prefix, options) =>
          pages(store.list(prefix, options), (page) => ({ ...page, entries: page.entries.toReversed() })),
      }),
  },
  {
    title: 'takes a prefix for a folder',
    promise: 'L4',
    finder: /prefix of bytes/,
    wrap: (store) =>
      passing(store, {
        list: (prefix, options) =>
          pages(store.list(prefix, options), (page) => ({
            ...page,
            entries: page.entries.filter((entry) => isInFolder(entry, toText(toBytes(prefix)))),
          })),
      }),
  },
  {
    title: 'lists what is there now for an older revision',
    promise: 'L5',
    finder: /compacted revision/,
    wrap: (store) => passing(store, { list: (prefix, options) => store.list(prefix, { ...options, revision: 0 }) }),
  },
  {
    title: 'lets nobody leave a listing',
    promise: 'L6',
    wrap: (store) =>
      passing(store, {
        list: async function* (prefix, options) {
          const notes = new AsyncDisposableStack();
          let whole = false;
          notes.defer(() => {
            if (!whole) throw new Error('There are more pages');
          });
          await using _leaving = notes;
          yield* store.list(prefix, options);
          whole = true;
        },
      }),
  },
  {
    title: 'always applies the first branch',
    promise: 'T1',
    wrap: (store) => passing(store, { transact: ({ then }, options) => store.transact({ when: [], then }, options) }),
  },
  {
    title: 'gives results from behind',
    promise: 'T3',
    wrap: (store) =>
      passing(store, {
        transact: async (transaction, options) => {
          const result = await store.transact(transaction, options);
          return { ...result, results: result.results.toReversed() };
        },
      }),
  },
  {
    title: 'compares no versions',
    promise: 'T4',
    wrap: (store) =>
      passing(store, {
        transact: ({ when, ...branches }, options) =>
          store.transact({ when: when.filter(({ target }) => target !== 'version'), ...branches }, options),
      }),
  },
  {
    title: 'applies what it can of too many operations',
    promise: 'T6',
    finder: /128/,
    wrap: (store) =>
      passing(store, {
        transact: async ({ when, then, ...rest }, options) => {
          try {
            return await store.transact({ when, then, ...rest }, options);
          } catch (error) {
            if (!(error instanceof InvalidRequestError)) throw error;
            return await store.transact({ when, then: then.slice(0, 128), ...rest }, options);
          }
        },
      }),
  },
  {
    title: 'gives a revision of its own to what only reads',
    promise: 'T7',
    wrap: (store) =>
      passing(store, {
        transact: async (transaction, options) => {
          const result = await store.transact(transaction, options);
          const isReading = [...transaction.then, ...(transaction.otherwise ?? [])].every(({ type }) => type === 'get');
          return isReading ? { ...result, revision: result.revision + 1 } : result;
        },
      }),
  },
];

async function* pages(from: AsyncIterable<Page>, change: (page: Page) => Page): AsyncGenerator<Page, void, void> {
  for await (const page of from) yield change(page);
}

function older(page: Page): Page {
  return { ...page, revision: page.revision - 1 };
}

/** By elements of a path: `a/b` is not in `a/bc`. */
function isInFolder({ key }: KeyValue, prefix: string): boolean {
  const rest = toText(key).slice(prefix.length);
  return rest === '' || prefix.endsWith('/') || rest.startsWith('/');
}
