import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ApiserverReplica, leaderKey } from '../../../../clustermesh/index.ts';
import { MemorySource } from '../../../../kubernetes/index.ts';
import { EngineStore, MemoryEngine, type Store, StoreElection, toText } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import type { Election } from '../../../../runtime/election/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';
import { namespace } from './harness.ts';

let engine: MemoryEngine;
let store: Store;
let open: Replica[] = [];

beforeEach(() => {
  const clock = new VirtualClock();
  engine = new MemoryEngine({ clock });
  store = new EngineStore(engine, { clock, endpoint: 'memory' });
  open = [];
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
    const election = new StoreElection({ store, key: leaderKey('apiserver'), identity, clock, log });
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
    expect(asked).toBe(1);
    for (let i = 0; i < 4; i++) await clock.advance(5_000);
    expect(asked).toBeGreaterThan(3);
    stop.abort(new DOMException('stopped', 'AbortError'));
    await clock.advance(1);
    await running;
  });
});
