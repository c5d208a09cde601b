import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ApiserverReplica, leaderKey } from '../../../../clustermesh/index.ts';
import { MemorySource } from '../../../../kubernetes/index.ts';
import {
  EngineStore,
  MemoryEngine,
  type Store,
  StoreElection,
  UnavailableError,
  toText,
} from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import type { Election, ElectionStatus } from '../../../../runtime/election/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';
import { namespace, node, pod, service } from './harness.ts';

let engine: MemoryEngine;
let store: Store;
let open: Replica[] = [];
/** While false, nobody reads or writes who leads. */
let reachable = true;

beforeEach(() => {
  const clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
  open = [];
  reachable = true;
});
afterEach(async () => {
  for (const replica of open) await replica.stop();
  await store[Symbol.asyncDispose]();
  await engine[Symbol.asyncDispose]();
});

/** A replica with a clock of its own: while that stands still, so does it, but for what others make it do. */
class Replica {
  readonly clock = new VirtualClock();
  readonly source = new MemorySource('memory');
  readonly replica: ApiserverReplica;
  readonly #stop = new AbortController();
  readonly #running: Promise<unknown>;

  constructor(identity: string) {
    const { clock, source } = this;
    const through = <T>(call: () => Promise<T>): Promise<T> =>
      reachable ? call() : Promise.reject(new UnavailableError('cut off'));
    const office: Pick<Store, 'get' | 'transact'> = {
      get: (...call) => through(() => store.get(...call)),
      transact: (...call) => through(() => store.transact(...call)),
    };
    const election = new StoreElection({ store: office, key: leaderKey('apiserver'), identity, clock, log });
    const cluster = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0 };
    this.replica = new ApiserverReplica({ ...cluster, store, clock, source, log }, election);
    for (const object of namespace('shop')) source.set(object);
    source.markSynced();
    this.#running = this.replica.run(this.#stop.signal).catch((error: unknown) => error);
    open.push(this);
  }

  async pass(ms: number): Promise<void> {
    for (let i = 0; i < 20; i++) await this.clock.advance(ms / 20);
  }

  async stop(): Promise<void> {
    this.#stop.abort(new DOMException('stopped', 'AbortError'));
    await this.pass(5_000);
    await this.#running;
  }
}

const labelsOf = async (name: string): Promise<string> =>
  toText((await store.get(`isthmus/v1/namespaces/${name}`))?.value ?? new Uint8Array());

describe('Replicas of an apiserver', () => {
  test('write nothing over the one that leads, although they stood still and believe that no time has passed', async () => {
    const first = new Replica('first');
    await first.pass(1_000);
    expect(first.replica.status().election).toMatchObject({ leading: true });
    expect(await labelsOf('shop')).not.toBe('');

    // The first one's clock stands still from here on. The second one sees the office unchanged for a term, and takes it.
    const second = new Replica('second');
    await second.pass(20_000);
    expect(second.replica.status().election).toMatchObject({ leading: true, leader: 'second' });
    for (const object of namespace('shop', ', labels: {team: red}')) second.source.set(object);
    await second.pass(1_000);
    expect(await labelsOf('shop')).toContain('red');

    // It goes on, and learns of a change before it learns that its term is over.
    expect(first.replica.status().election).toMatchObject({ leading: true });
    const before = engine.revision;
    for (const object of namespace('shop', ', labels: {team: blue}')) first.source.set(object);
    for (const object of namespace('new')) first.source.set(object);
    for (let i = 0; i < 20; i++) await first.clock.advance(1);
    expect(await labelsOf('shop')).toContain('red');
    expect(await labelsOf('new')).toBe('');
    expect(engine.revision).toBe(before);

    await first.pass(2_000);
    expect(first.replica.status()).toMatchObject({ election: { leading: false, leader: 'second' } });
    expect(first.replica.standby).toBe(true);
    for (const object of namespace('shop', ', labels: {team: green}')) second.source.set(object);
    await second.pass(1_000);
    expect(await labelsOf('shop')).toContain('green');
  });

  test('are ready while they wait, and have published only what they have published themselves', async () => {
    const first = new Replica('first');
    await first.pass(1_000);
    const second = new Replica('second');
    await second.pass(1_000);
    const said = ({ replica }: Replica): boolean[] => [replica.ready, replica.published];
    expect([said(first), said(second)]).toEqual([
      [true, true],
      [true, false],
    ]);
    await first.stop();
    await second.pass(20_000);
    expect(said(second)).toEqual([true, true]);
  });

  test('are not ready after a term that ended because the office cannot be reached any more', async () => {
    const first = new Replica('first');
    await first.pass(1_000);
    expect(first.replica.ready).toBe(true);
    reachable = false;
    await first.pass(30_000);
    expect(first.replica.status().election).toMatchObject({ leading: false, leader: 'first', error: 'cut off' });
    expect([first.replica.ready, first.replica.standby]).toEqual([false, false]);
    reachable = true;
    await first.pass(30_000);
    expect(first.replica.ready).toBe(true);
  });

  test('take over again after having been fenced off', async () => {
    const first = new Replica('first');
    await first.pass(1_000);
    const second = new Replica('second');
    await second.pass(20_000);
    for (const object of namespace('new')) first.source.set(object);
    await first.pass(2_000);
    expect(first.replica.standby).toBe(true);
    await second.stop();
    await first.pass(20_000);
    expect(first.replica.status().election).toMatchObject({ leading: true, leader: 'first' });
    expect(await labelsOf('new')).not.toBe('');
  });

  test('ask the store whether it is there while they wait for a Lease that is kept elsewhere', async () => {
    const clock = new VirtualClock();
    const election: Election = {
      description: 'Lease isthmus-system/isthmus-apiserver',
      run: async (signal) => {
        await clock.sleep(Infinity, signal);
      },
      confirm: () => Promise.resolve(false),
      status: () => ({ identity: 'second', leading: false, leader: 'first' }),
    };
    let asked = 0;
    const counting = new Proxy(store, {
      get: (target, member) => {
        if (member === 'get') asked++;
        const value: unknown = Reflect.get(target, member, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const stop = new AbortController();
    const source = new MemorySource('memory');
    const cluster = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0 };
    const replica = new ApiserverReplica({ ...cluster, store: counting, clock, source, log }, election);
    const running = replica.run(stop.signal).catch((error: unknown) => error);
    await clock.advance(1);
    const first = asked;
    expect(first).toBeGreaterThan(0);
    for (let i = 0; i < 4; i++) await clock.advance(5_000);
    expect(asked).toBeGreaterThan(3 * first);
    stop.abort(new DOMException('stopped', 'AbortError'));
    await clock.advance(1);
    await running;
  });
});

describe('An apiserver that cannot ask who leads, as after a restart while the API server is away', () => {
  const clock = new VirtualClock();
  const pass = async (minutes: number): Promise<void> => {
    for (let i = 0; i < minutes * 6; i++) await clock.advance(10_000);
  };
  /** A Lease that nobody reaches, until it is. */
  class LostLease implements Election {
    readonly description = 'Lease isthmus-system/isthmus-apiserver';
    readonly #found = Promise.withResolvers<void>();
    #leading = false;

    async run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
      await Promise.race([this.#found.promise, clock.sleep(Infinity, signal)]);
      this.#leading = true;
      await lead(signal);
    }

    confirm(): Promise<boolean> {
      return Promise.resolve(this.#leading);
    }

    status(): ElectionStatus {
      const status = { identity: 'again', leading: this.#leading };
      return this.#leading ? { ...status, leader: 'again' } : { ...status, error: 'Nobody answers' };
    }

    found(): void {
      this.#found.resolve();
    }
  }

  let source: MemorySource;
  let stops: (() => Promise<void>)[];
  let deleted: string[];
  beforeEach(() => {
    engine = new MemoryEngine({ clock });
    store = new EngineStore(engine, { clock, endpoint: 'memory' });
    source = new MemorySource('memory');
    for (const object of [...namespace('shop'), ...node('n1'), ...pod('web-1'), ...service('web')]) source.set(object);
    stops = [];
    deleted = [];
  });
  afterEach(async () => {
    for (const stop of stops) await stop();
  });
  const begin = (from: MemorySource, election?: Election, leaseTtlSeconds = 900): (() => Promise<void>) => {
    const cluster = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0, silentNodeMs: 1_000, leaseTtlSeconds };
    const replica = new ApiserverReplica({ ...cluster, store, clock, source: from, log }, election);
    const stopping = new AbortController();
    const running = replica.run(stopping.signal).catch((error: unknown) => error);
    const stop = async (): Promise<void> => {
      stopping.abort(new DOMException('stopped', 'AbortError'));
      await clock.advance(10);
      await running;
    };
    stops.push(stop);
    return stop;
  };
  const follow = (): void => {
    const stopping = new AbortController();
    const following = (async () => {
      for await (const batch of store.listAndWatch('', { signal: stopping.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'delete') deleted.push(toText(event.key));
    })();
    stops.push(async () => {
      stopping.abort();
      await following;
    });
  };
  /** Keys with a value and no word on time, and by whose lease they are. */
  const held = async (): Promise<Map<string, { readonly value: string; readonly lease: bigint }>> => {
    const found = new Map<string, { readonly value: string; readonly lease: bigint }>();
    for await (const { entries } of store.list(''))
      for (const { key, value, lease } of entries)
        if (!/heartbeat|leader|question/.test(toText(key))) found.set(toText(key), { value: toText(value), lease });
    return found;
  };
  const values = (all: Awaited<ReturnType<typeof held>>): [string, string][] =>
    [...all].map(([key, { value }]) => [key, value]);

  test('keeps what was published, as it was, until it can', async () => {
    source.markSynced();
    const stop = begin(source);
    await pass(1);
    await stop();
    const before = await held();
    const beat = (await store.get('cilium/.heartbeat'))?.modRevision;
    follow();
    const election = new LostLease();
    const again = new MemorySource('memory');
    begin(again, election);
    await pass(10);
    expect((await store.get('cilium/.heartbeat'))?.modRevision).toBe(beat);
    await pass(120);
    expect(values(await held())).toEqual(values(before));
    // That it is silent is to be seen.
    expect(deleted.filter((key) => !/leader|question/.test(key))).toEqual(['cilium/.heartbeat']);
    deleted.length = 0;
    election.found();
    for (const object of [...namespace('shop'), ...node('n1'), ...service('web')]) again.set(object);
    again.markSynced();
    await pass(60);
    expect(deleted.filter((key) => !/leader|question|identities|resting/.test(key))).toEqual([
      'isthmus/v1/workloads/n1/shop/web-1',
    ]);
    expect(await store.get('cilium/.heartbeat')).toBeDefined();
  });

  test.each([30, 200])('does so in time where leases last %d seconds only', async (ttlSeconds) => {
    source.markSynced();
    const stop = begin(source, undefined, ttlSeconds);
    await pass(1);
    await stop();
    const before = await held();
    begin(new MemorySource('memory'), new LostLease(), ttlSeconds);
    await pass(30);
    expect(values(await held())).toEqual(values(before));
  });

  test('finds its keys again before they run out under the lease of whoever kept them while it was cut off', async () => {
    source.markSynced();
    begin(source, undefined, 60);
    await pass(1);
    const before = await held();
    follow();
    const lease = await store.grantLease({ ttlSeconds: 60 });
    for (const [key, one] of before) if (one.lease !== 0n) await store.put(key, one.value, { lease: lease.id });
    await lease[Symbol.asyncDispose]();
    await pass(5);
    expect(values(await held())).toEqual(values(before));
    expect(deleted).toEqual([]);
  });

  test('does so alone where several wait', async () => {
    source.markSynced();
    const stop = begin(source);
    await pass(1);
    await stop();
    for (let i = 0; i < 3; i++) begin(new MemorySource('memory'), new LostLease());
    await pass(60);
    const leases = async (): Promise<bigint[]> => [...(await held()).values()].map(({ lease }) => lease);
    const before = await leases();
    await pass(60);
    expect(await leases()).toEqual(before);
  });

  test('touches nothing while another one leads', async () => {
    source.markSynced();
    begin(source);
    await pass(1);
    const before = await held();
    begin(new MemorySource('memory'), new LostLease());
    await pass(60);
    expect(await held()).toEqual(before);
  });
});
