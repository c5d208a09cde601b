import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Caretaker } from '../../../../clustermesh/apiserver/caretaker.ts';
import { publishedSets } from '../../../../clustermesh/apiserver/published-sets.ts';
import {
  EngineStore,
  InvalidRequestError,
  MemoryEngine,
  PermissionDeniedError,
  type Store,
  type Transaction,
  toBytes,
  toText,
} from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';

const clock = new VirtualClock();
const cluster = { clusterName: 'east', kinds: ['CiliumNode'], services: true, serviceExports: false } as const;
const keyOf = (n: number): string => `cilium/state/services/v1/east/shop/s${n}`;
let engine: MemoryEngine;
let store: Store;
beforeEach(() => {
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** Whether each key is still there once the lease that it was written under is over. @param refuse what the store answers to some writes */
async function kept(count: number, refuse: (transaction: Transaction) => Error | undefined): Promise<boolean[]> {
  const former = await store.grantLease({ ttlSeconds: 900 });
  for (let n = 0; n < count; n++) await store.put(keyOf(n), 'value', { lease: former.id });
  await using caretaker = new Caretaker({
    clusterName: 'east',
    sets: publishedSets(cluster),
    store: {
      list: store.list.bind(store),
      grantLease: store.grantLease.bind(store),
      transact: async (transaction, options) => {
        const refused = refuse(transaction);
        if (refused) throw refused;
        return await store.transact(transaction, options);
      },
    },
    clock,
    log,
    leaseTtlSeconds: 900,
    mayKeep: () => Promise.resolve([]),
  });
  const stop = new AbortController();
  const running = caretaker.run(stop.signal).catch((error: unknown) => error);
  for (let i = 0; i < 20; i++) await clock.advance(1_000);
  stop.abort(new DOMException('stopped', 'AbortError'));
  await running;
  await former.revoke();
  return await Promise.all(Array.from({ length: count }, async (_, n) => (await store.get(keyOf(n))) !== undefined));
}

test('A key that the store refuses lets no other go', async () => {
  const found = await kept(100, ({ then }) =>
    then.some(({ key }) => toText(toBytes(key)) === keyOf(7)) ? new PermissionDeniedError('Not yours') : undefined,
  );
  expect(found).toEqual(Array.from({ length: 100 }, (_, n) => n !== 7));
});

test('A store that takes less at once is given less', async () => {
  const found = await kept(100, ({ then }) =>
    then.length > 3 ? new InvalidRequestError('Too much at once') : undefined,
  );
  expect(found).toEqual(Array.from({ length: 100 }, () => true));
});
