import type { Clock } from '../../runtime/clock/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import type { Bytes, Operation, Store, WatchBatch } from '../contract/index.ts';
import { UnavailableError, leaseTtlOf } from '../contract/index.ts';
import { scopeOf } from './scope-of.ts';
import type { EventAction, StoreMetrics, StoreOperation } from './store-metrics.ts';

/** The same store, with every operation timed. What a caller aborts is no outcome. Disposing closes the store. */
export function measureStore(store: Store, clock: Clock, metrics: StoreMetrics): Store {
  const timed = async <T>(
    key: Bytes | undefined,
    kind: StoreOperation['kind'],
    action: string,
    call: () => Promise<T>,
  ): Promise<T> => {
    const started = clock.monotonicMs();
    const report = (outcome: StoreOperation['outcome']): void =>
      metrics.operation({ scope: scopeOf(key), kind, action, outcome }, (clock.monotonicMs() - started) / 1_000);
    try {
      const answer = await call();
      report('success');
      return answer;
    } catch (error) {
      if (!isAbort(error)) report('error');
      throw error;
    }
  };
  return {
    ...(store.limits ? { limits: store.limits } : {}),
    get: (key, options) => timed(key, 'read', 'Get', () => store.get(key, options)),
    put: (key, value, options) => timed(key, 'set', 'Update', () => store.put(key, value, options)),
    delete: (key, options) => timed(key, 'delete', 'Delete', () => store.delete(key, options)),
    deletePrefix: (prefix, options) =>
      timed(prefix, 'delete', 'DeletePrefix', () => store.deletePrefix(prefix, options)),
    list: (prefix, options) => listed(prefix, store.list(prefix, options), timed),
    listAndWatch: (prefix, options) =>
      watched(
        store.listAndWatch(prefix, options),
        (action, ms) => metrics.events(scopeOf(prefix), action, ms / 1_000),
        clock,
      ),
    transact: (transaction, options) => {
      const { kind, key } = nature([...transaction.then, ...(transaction.otherwise ?? [])]);
      return timed(key, kind, 'Transact', () => store.transact(transaction, options));
    },
    grantLease: (options) => timed('lease', 'set', 'AcquireLease', () => store.grantLease(options)),
    ...leaseTtlOf(store),
    lock: (name, options) =>
      timed(name, 'set', 'Lock', () => store.lock(name, options)).catch((error: unknown) => {
        if (error instanceof UnavailableError) metrics.quorumError('lock timeout');
        throw error;
      }),
    health: () => store.health(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}

type Timed = <T>(key: Bytes, kind: 'read', action: string, call: () => Promise<T>) => Promise<T>;

/** Each page counts for itself: the time in between is the reader's. */
async function* listed<T>(prefix: Bytes, pages: AsyncIterable<T>, timed: Timed): AsyncGenerator<T, void, void> {
  const iterator = pages[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await timed(prefix, 'read', 'ListPrefix', () => iterator.next());
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

async function* watched(
  batches: AsyncIterable<WatchBatch>,
  report: (action: EventAction, ms: number) => void,
  clock: Clock,
): AsyncGenerator<WatchBatch, void, void> {
  for await (const batch of batches) {
    // Buffers are the reader's only until it asks for more: what they were is told now.
    const actions = actionsOf(batch);
    const started = clock.monotonicMs();
    yield batch;
    const ms = clock.monotonicMs() - started;
    for (const action of actions) report(action, ms);
  }
}

/** What kinds of events are in a batch; one sample each, however many there are. */
function actionsOf(batch: WatchBatch): ReadonlySet<EventAction> {
  if (batch.type === 'restart') return new Set();
  if (batch.type === 'synced') return new Set(['listDone']);
  // Not by its events where there is another way: to make an object of each change costs more than all else here.
  const kinds = batch.packed?.kinds;
  if (kinds) {
    const { created, modified, deleted } = kinds;
    return new Set(
      (['create', 'modify', 'delete'] as const).filter((_, i) => [created, modified, deleted][i] === true),
    );
  }
  return new Set(
    batch.events.map((event) => (event.type === 'delete' ? 'delete' : event.entry.version === 1 ? 'create' : 'modify')),
  );
}

function nature(operations: readonly Operation[]): { kind: StoreOperation['kind']; key: Bytes | undefined } {
  const write = operations.find(({ type }) => type !== 'get');
  const key = (write ?? operations[0])?.key;
  if (!write) return { kind: 'read', key };
  return { kind: operations.some(({ type }) => type === 'put') ? 'set' : 'delete', key };
}
