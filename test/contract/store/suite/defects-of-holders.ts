import { type Lock, PermissionDeniedError, type Store, toBytes, toText } from '../../../../kvstore/index.ts';
import { type Defect, leaseLike } from './defect.ts';
import { passing } from './defective-watches.ts';

/** What can be wrong with who holds or follows something: watches, leases, locks, clients and their rights. */
export const defectsOfHolders: readonly Defect[] = [
  {
    title: 'ends a watch with an error when its signal aborts',
    promise: 'O8',
    wrap: (store) =>
      passing(store, {
        listAndWatch: async function* (prefix, options) {
          yield* store.listAndWatch(prefix, options);
          options.signal.throwIfAborted();
        },
      }),
  },
  {
    title: 'has room for a few watches',
    promise: 'O9',
    finder: /side by side/,
    waits: true,
    wrap: (store) => {
      let open = 0;
      return passing(store, {
        listAndWatch: async function* (prefix, options) {
          if (open >= 8) return;
          open += 1;
          try {
            yield* store.listAndWatch(prefix, options);
          } finally {
            open -= 1;
          }
        },
      });
    },
  },
  {
    title: 'gives all leases one id',
    promise: 'E2',
    finder: /different ids/,
    wrap: (store) => {
      let first: bigint | undefined;
      return passing(store, {
        grantLease: async (options) => {
          const lease = await store.grantLease(options);
          return { ...leaseLike(lease, () => lease.revoke()), id: (first ??= lease.id) };
        },
      });
    },
  },
  {
    title: 'takes a second end of a lease for a mistake',
    promise: 'E8',
    wrap: (store) =>
      passing(store, {
        grantLease: async (options) => {
          const lease = await store.grantLease(options);
          let revoked = false;
          return leaseLike(lease, async () => {
            if (revoked) throw new Error('It was revoked already');
            revoked = true;
            await lease.revoke();
          });
        },
      }),
    finder: /at the same time/,
  },
  {
    title: 'calls the key of a lock otherwise',
    promise: 'X1',
    wrap: (store) => locking(store, ({ key }) => ({ key: toBytes(`${toText(key)}0`) })),
  },
  {
    title: 'gives a lock to whoever came last',
    promise: 'X3',
    waits: true,
    wrap: (store) => {
      const waiting = new Map<string, (() => void)[]>();
      return passing(store, {
        lock: async (name, options) => {
          const text = toText(toBytes(name));
          const others = waiting.get(text);
          if (others) await new Promise<void>((resolve) => void others.push(resolve));
          else waiting.set(text, []);
          const lock = await store.lock(name, options);
          return lockLike(lock, {
            release: async () => {
              await lock.release();
              const next = waiting.get(text)?.pop();
              if (next) next();
              else waiting.delete(text);
            },
          });
        },
      });
    },
  },
  {
    title: 'leaves the place of who gives up',
    promise: 'X5',
    finder: /leaves nothing behind/,
    waits: true,
    wrap: (store) =>
      passing(store, {
        lock: (name, { signal, ...options } = {}) =>
          new Promise((resolve, reject) => {
            signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
            store.lock(name, options).then(resolve, reject);
          }),
      }),
  },
  {
    title: 'withdraws its leases when it is closed',
    promise: 'C3',
    wrap: (store) => {
      const leases: (() => PromiseLike<void>)[] = [];
      return passing(store, {
        grantLease: async (options) => {
          const lease = await store.grantLease(options);
          leases.push(() => lease.revoke());
          return lease;
        },
        [Symbol.asyncDispose]: async () => {
          for (const revoke of leases) await revoke();
          await store[Symbol.asyncDispose]();
        },
      });
    },
  },
  {
    title: 'does not say which store it is',
    promise: 'C4',
    wrap: (store) =>
      passing(store, {
        health: () => {
          const { storeId: _, ...rest } = store.health();
          return rest;
        },
      }),
  },
  {
    title: 'refuses what is empty to who may read it',
    promise: 'A1',
    where: (_promises, disturbances) => disturbances.includes('guarded'),
    wrap: (store) =>
      passing(store, {
        list: async function* (prefix, options) {
          for await (const page of store.list(prefix, options)) {
            if (page.entries.length === 0) throw new PermissionDeniedError('There is nothing to be read');
            yield page;
          }
        },
      }),
  },
  {
    title: 'says that it has written what was refused',
    promise: 'A4',
    finder: /writing without permission/,
    where: (_promises, disturbances) => disturbances.includes('guarded'),
    wrap: (store) =>
      passing(store, {
        put: (key, value, options) =>
          store.put(key, value, options).catch((error: unknown) => {
            if (!(error instanceof PermissionDeniedError)) throw error;
            return { revision: 1 };
          }),
      }),
  },
];

function locking(store: Store, change: (lock: Lock) => Partial<Lock>): Store {
  return passing(store, {
    lock: async (name, options) => {
      const lock = await store.lock(name, options);
      return lockLike(lock, change(lock));
    },
  });
}

function lockLike(lock: Lock, change: Partial<Lock>): Lock {
  return {
    key: lock.key,
    createRevision: lock.createRevision,
    lost: lock.lost,
    fence: () => lock.fence(),
    release: () => lock.release(),
    [Symbol.asyncDispose]: () => lock.release(),
    ...change,
  };
}
