import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RememberedNumbers } from '../../../agent/registration/index.ts';
import { LocalCluster, localFeeds } from '../../../agent/local/index.ts';
import { OwnSpace, ServiceTable, createMeshView, ownSyncedKey, syncedKey } from '../../../clustermesh/index.ts';
import {
  EngineStore,
  MemoryEngine,
  PermissionDeniedError,
  type Store,
  type WatchBatch,
  type WatchOptions,
} from '../../../kvstore/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { RemoteWriter } from '../clustermesh/remote/support.ts';
import { TestCluster, until } from './support.ts';

/** A store client that a test moves to another store, as happens when a store begins anew under its old address. */
class MovableStore implements Pick<Store, 'listAndWatch'> {
  #inner: Store;
  #moved = new AbortController();

  constructor(inner: Store) {
    this.#inner = inner;
  }

  move(inner: Store): void {
    this.#inner = inner;
    const moved = this.#moved;
    this.#moved = new AbortController();
    moved.abort();
  }

  async *listAndWatch(prefix: string | Uint8Array, { signal }: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
    let first = true;
    while (!signal.aborted) {
      const moved = this.#moved.signal;
      for await (const batch of this.#inner.listAndWatch(prefix, { signal: AbortSignal.any([signal, moved]) })) {
        yield batch.type === 'restart' && !first ? { type: 'restart', reason: 'store-replaced' } : batch;
        first = false;
      }
    }
  }
}

/** A store whose watches end, and begin no more, with a refusal. */
class RefusingStore implements Pick<Store, 'listAndWatch'> {
  readonly #inner: Store;
  #reason: string | undefined;
  #ending = new AbortController();

  constructor(inner: Store) {
    this.#inner = inner;
  }

  refuse(reason: string | undefined): void {
    this.#reason = reason;
    this.#ending.abort();
    this.#ending = new AbortController();
  }

  async *listAndWatch(prefix: string | Uint8Array, { signal }: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
    if (this.#reason === undefined)
      yield* this.#inner.listAndWatch(prefix, { signal: AbortSignal.any([signal, this.#ending.signal]) });
    if (!signal.aborted) throw new PermissionDeniedError(this.#reason ?? 'It was refused a moment ago');
  }
}

describe('the own cluster', () => {
  let clock: VirtualClock;
  let controller: AbortController;
  let running: Promise<void>;
  beforeEach(() => {
    clock = new VirtualClock();
    controller = new AbortController();
    running = Promise.resolve();
  });
  afterEach(async () => {
    controller.abort();
    await running;
  });

  const follow = (store: Pick<Store, 'listAndWatch'>) => {
    const view = createMeshView({ ownCluster: 'east' });
    const services = new ServiceTable({ ownCluster: 'east' });
    const origin = { cluster: 'east', clusterId: 1 };
    const ownSpace = new OwnSpace();
    const assigned: (string | undefined)[] = [];
    const workloads = new Map<string, number>();
    const feeds = localFeeds(origin, 'e1', {
      mesh: view.writer(origin),
      hidden: view.writer({ ...origin, layer: 'hidden' }),
      services: services.local(),
      ownSpace,
      numbers: new RememberedNumbers({ store: { get: async () => undefined }, clock, log: silentLogger }),
      assignment: (record) => assigned.push(record?.podCidrs[0]?.address),
      workload: (key, record) => (record ? workloads.set(key, record.identity) : workloads.delete(key)),
    });
    const replaced = { count: 0 };
    const local = new LocalCluster('east', feeds, {
      store,
      clock,
      log: silentLogger,
      onChange: () => undefined,
      onReplaced: () => (replaced.count += 1),
    });
    running = local.run(controller.signal).catch(() => undefined);
    return { view, services, assigned, workloads, local, replaced };
  };

  test('is read at once, and known completely when its writers say so', async () => {
    const east = new TestCluster('east', 1, clock);
    await east.begin({ e1: '10.1.1.0/24', e10: '10.1.10.0/24' });
    await east.workload('e1', 'a', 65_537);
    await east.service('web', '10.96.0.1', ['10.1.1.5'], false);
    await new RemoteWriter(east.store, 'east', 1).ip('10.1.1.5', '192.168.1.1');
    const { view, services, assigned, workloads, local } = follow(east.store);
    await until(clock, () => local.listed());
    expect(view.ip('10.1.1.5/32')?.hostIp).toBe('192.168.1.1');
    expect(view.identity(65_537)).toBeDefined();
    expect(services.get('shop/web')?.ports[0]?.backends).toHaveLength(1);
    expect(workloads).toEqual(new Map([['shop/a', 65_537]]));
    // Node e10 has our name as its beginning, and is none of our business.
    expect(assigned).toEqual(['10.1.1.0']);
    expect(local.waitingFor()).toEqual([`mark ${syncedKey('east', 'nodes')}`, `mark ${syncedKey('east', 'ip')}`]);
    await east.canariesAfter(0);
    await until(clock, () => local.waitingFor().length === 0);
    expect(ownSyncedKey('nodes')).toBe('isthmus/v1/synced/nodes');
  });

  test('says why it is not followed where the store answers and refuses, until it is followed again', async () => {
    const east = new TestCluster('east', 1, clock);
    await east.begin({ e1: '10.1.1.0/24' });
    const refusing = new RefusingStore(east.store);
    const { local } = follow(refusing);
    await until(clock, () => local.listed());
    expect(local.interruption).toBeUndefined();
    refusing.refuse('ACL not found');
    await until(clock, () => local.interruption !== undefined);
    await clock.advance(60_000);
    expect(local.interruption).toBe('ACL not found');
    refusing.refuse(undefined);
    await until(clock, () => local.interruption === undefined);
  });

  test('whose store begins anew stays as it was known until each set is marked as complete', async () => {
    const east = new TestCluster('east', 1, clock);
    await east.begin({ e1: '10.1.1.0/24' });
    await east.service('web', '10.96.0.1', ['10.1.1.5'], false);
    await new RemoteWriter(east.store, 'east', 1).ip('10.1.1.5', '192.168.1.1');
    await east.canariesAfter(0);
    const store = new MovableStore(east.store);
    const { view, services, local, replaced } = follow(store);
    await until(clock, () => local.waitingFor().length === 0);
    expect(replaced.count).toBe(0);

    const engine = new MemoryEngine({ clock });
    const fresh = new EngineStore(engine, { clock, endpoint: 'east' });
    store.move(fresh);
    await clock.advance(5000);
    expect(replaced.count).toBe(1);
    expect(view.ip('10.1.1.5/32')).toBeDefined();
    expect([...services.keys()]).toEqual(['shop/web']);
    await fresh.put(ownSyncedKey('services'), 'now');
    await until(clock, () => [...services.keys()].length === 0);
    expect(view.ip('10.1.1.5/32')).toBeDefined();
    await fresh.put(syncedKey('east', 'ip'), 'now');
    await until(clock, () => view.ip('10.1.1.5/32') === undefined);
  });

  test('has values that cannot be read refused and counted, and the versions before them stay', async () => {
    const east = new TestCluster('east', 1, clock);
    const writer = new RemoteWriter(east.store, 'east', 1);
    await writer.ip('10.1.1.5', '192.168.1.1');
    const { view, local } = follow(east.store);
    await until(clock, () => local.listed());
    await east.store.put('cilium/state/ip/v1/default/10.1.1.5', 'nonsense');
    await until(clock, () => local.refused === 1);
    expect(view.ip('10.1.1.5/32')?.hostIp).toBe('192.168.1.1');
  });
});
