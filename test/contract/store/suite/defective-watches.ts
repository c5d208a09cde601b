import type { Bytes, Store, WatchBatch, WatchEvent, WatchOptions } from '../../../../kvstore/index.ts';

type Batches = AsyncGenerator<WatchBatch, void, void>;

/** A store that hands everything on, but for what is `changed`. */
export function passing(store: Store, changed: Partial<Store>): Store {
  return {
    get: (key, options) => store.get(key, options),
    put: (key, value, options) => store.put(key, value, options),
    delete: (key, options) => store.delete(key, options),
    deletePrefix: (prefix, options) => store.deletePrefix(prefix, options),
    list: (prefix, options) => store.list(prefix, options),
    listAndWatch: (prefix, options) => store.listAndWatch(prefix, options),
    transact: (transaction, options) => store.transact(transaction, options),
    grantLease: (options) => store.grantLease(options),
    lock: (name, options) => store.lock(name, options),
    health: () => store.health(),
    [Symbol.asyncDispose]: () => Promise.resolve(store[Symbol.asyncDispose]()),
    ...changed,
  };
}

/** Says synced after the first part of its listing; the rest comes as if it were changes. */
export async function* firstFalseSync(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  let said = false;
  for await (const batch of store.listAndWatch(prefix, options)) {
    if (batch.type === 'synced' && said) continue;
    yield batch;
    if (batch.type !== 'changes' || said) continue;
    said = true;
    yield { type: 'synced', revision: batch.revision };
  }
}

/** Takes whatever store answers for the one it knows: a second listing never comes. */
export async function* deafToReplacement(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  let restarts = 0;
  for await (const batch of store.listAndWatch(prefix, options)) {
    if (batch.type === 'restart') restarts += 1;
    if (restarts < 2) yield batch;
  }
}

/** Changes after synced come in the wrong order: within a batch, and batch by batch. */
export async function* lateOrder(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  let synced = false;
  let kept: WatchBatch | undefined;
  for await (const batch of store.listAndWatch(prefix, options)) {
    if (batch.type === 'synced') synced = true;
    if (batch.type !== 'changes' || !synced) yield batch;
    else if (batch.events.length > 1) yield { ...batch, events: batch.events.map(copyOf).toReversed() };
    else if (kept) {
      yield batch;
      yield kept;
      kept = undefined;
    } else kept = { ...batch, events: batch.events.map(copyOf) };
  }
}

/** The changes after synced as `change` gives them. */
export async function* changedLive(
  store: Store,
  prefix: Bytes,
  options: WatchOptions,
  change: (events: readonly WatchEvent[]) => readonly WatchEvent[],
): Batches {
  let synced = false;
  for await (const batch of store.listAndWatch(prefix, options)) {
    if (batch.type === 'synced') synced = true;
    yield batch.type === 'changes' && synced ? { ...batch, events: change(batch.events) } : batch;
  }
}

/** Each batch of several changes comes as two. */
export async function* splitBatches(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  for await (const batch of store.listAndWatch(prefix, options))
    if (batch.type === 'changes' && batch.events.length > 1) {
      yield { ...batch, events: batch.events.slice(0, 1) };
      yield { ...batch, events: batch.events.slice(1) };
    } else yield batch;
}

/** Reads on while its reader does not, keeps four batches, and drops what is older. */
export async function* dropsWaiting(store: Store, prefix: Bytes, options: WatchOptions): Batches {
  const waiting: WatchBatch[] = [];
  const pump = new AbortController();
  const reading = (async () => {
    for await (const batch of store.listAndWatch(prefix, options)) {
      waiting.push(batch.type === 'changes' ? { ...batch, events: batch.events.map(copyOf) } : batch);
      if (waiting.length > 4) waiting.shift();
    }
  })().finally(() => pump.abort());
  while (!pump.signal.aborted || waiting.length > 0) {
    const batch = waiting.shift();
    if (batch) yield batch;
    else await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await reading;
}

/** Buffers of a batch are only lent. */
function copyOf(event: WatchEvent): WatchEvent {
  if (event.type === 'delete') return { ...event, key: new Uint8Array(event.key) };
  const { entry } = event;
  return { type: 'put', entry: { ...entry, key: new Uint8Array(entry.key), value: new Uint8Array(entry.value) } };
}
