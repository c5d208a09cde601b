import { afterEach, describe, expect, test } from '@jest/globals';
import {
  type RememberedCluster,
  type RemoteCluster,
  encodeClusterConfig,
  clusterConfigKey,
  ipKey,
} from '../../../../clustermesh/index.ts';
import { Side, config, settle, until, westConfig } from './support.ts';

/** What a life that knew `remote` leaves to the next one. */
function left(remote: RemoteCluster, asOfMs: number): RememberedCluster {
  const { config: told, kinds } = remote.content();
  return {
    config: told,
    records: kinds.flatMap(({ kind, records }) => [...records].map((record) => ({ kind, ...record }))),
    leftOut: [],
    asOfMs,
  };
}

describe('a remote cluster that an earlier life has known', () => {
  const stops: (() => Promise<void>)[] = [];
  const follow = (remote: RemoteCluster) => {
    const controller = new AbortController();
    const running = remote.run(config(), controller.signal).catch(() => undefined);
    const stop = async (): Promise<void> => {
      controller.abort();
      await running;
    };
    stops.push(stop);
    return stop;
  };
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  /** A first life that read everything, then a second one that has what the first one left, and cannot connect. */
  const secondLife = async (change: (cluster: RememberedCluster) => RememberedCluster = (same) => same) => {
    const first = new Side();
    await first.writer().everything();
    const remote = first.remote();
    const stop = follow(remote);
    await until(() => remote.status().ready, 'ready');
    await stop();
    const second = new Side();
    second.engines.set('west', first.engine());
    second.unreachable = true;
    const recalled = second.remote();
    recalled.recall({ state: 'found', cluster: change(left(remote, second.clock.now())) });
    return { first, second, recalled };
  };

  test('is served from what was remembered, and is neither known nor ready', async () => {
    const { first, second, recalled } = await secondLife();
    expect(second.known()).toEqual(first.known());
    expect(second.known()).toHaveLength(6);
    follow(recalled);
    await second.clock.advance(150_000);
    expect(second.known()).toEqual(first.known());
    expect(recalled.status()).toMatchObject({
      ready: false,
      known: false,
      stale: true,
      'num-endpoints': 2,
      config: { retrieved: false },
      restored: { 'age-seconds': 150, records: 6, 'left-out': [] },
      status: 'Not read yet, served from what was remembered 150 s ago',
      failure: 'Nobody answers',
    });
    expect(() => second.ids.reserve(2, 'other')).toThrow('already used by cluster west');
  });

  test('loses exactly what its first complete listing lacks, kind by kind', async () => {
    const { second, recalled } = await secondLife();
    const { version } = second.view;
    const before = second.known();
    await second.writer().store.delete(ipKey('10.2.2.5'));
    second.heal();
    follow(recalled);
    await until(() => recalled.status().ready, 'ready');
    expect(second.known()).toEqual(before.filter((line) => !line.includes('10.2.2.5')));
    expect(second.view.version).toBe(version + 1);
    expect(recalled.status()).not.toHaveProperty('restored');
    expect(recalled.status()).toMatchObject({ known: true, stale: false });
  });

  test('keeps everything while the canaries of its store are missing', async () => {
    const { second, recalled } = await secondLife();
    const before = second.known();
    second.engines.clear();
    const writer = second.writer();
    await writer.config();
    await writer.heartbeat(second.clock.now());
    second.heal();
    follow(recalled);
    await until(() => recalled.status().config.retrieved, 'connected');
    await settle();
    expect(second.known()).toEqual(before);
    await writer.canaries();
    await until(() => recalled.status().ready, 'ready');
    expect(second.known()).toEqual([]);
  });

  test('is drained before anything is read when it has changed its id meanwhile', async () => {
    const { second, recalled } = await secondLife();
    await second.writer().config({ ...westConfig, id: 7 });
    second.heal();
    follow(recalled);
    await until(() => recalled.status().config['cluster-id'] === 7, 'the new id');
    expect(second.known()).toEqual([]);
    expect(recalled.status()).not.toHaveProperty('restored');
    expect(() => second.ids.reserve(2, 'other')).not.toThrow();
  });

  test('keeps everything when it keeps its records elsewhere meanwhile, until that was listed', async () => {
    const { second, recalled } = await secondLife();
    const before = second.known();
    const writer = second.writer();
    await writer.config({ ...westConfig, cached: true });
    second.heal();
    follow(recalled);
    await until(() => recalled.status().config.kvstoremesh === true, 'the other layout');
    await settle();
    expect(second.known()).toEqual(before);
    const { store } = writer;
    const address = await store.get(ipKey('10.2.1.5'));
    await store.put('cilium/cache/ip/v1/west/10.2.1.5', address?.value ?? '');
    for (const prefix of ['nodes/v1', 'services/v1', 'identities/v1', 'ip/v1'])
      await store.put(`cilium/synced/west/cilium/cache/${prefix}`, '');
    await until(() => recalled.status().ready, 'ready');
    expect(second.known()).toEqual(['ip 10.2.1.5 at 192.168.2.1 is 131073']);
  });

  test('may exchange its id with another remembered one', async () => {
    const { second, recalled } = await secondLife();
    second.ids.reserve(3, 'north');
    const { store } = second.writer();
    await store.put(clusterConfigKey('west'), encodeClusterConfig({ ...westConfig, id: 3 }));
    second.heal();
    follow(recalled);
    await until(() => recalled.status()['num-failures'] > 0, 'a conflict');
    expect(() => second.ids.reserve(2, 'north')).not.toThrow();
    second.ids.release(3, 'north');
    await second.clock.advance(5000);
    await until(() => recalled.status().config['cluster-id'] === 3, 'the other id');
  });

  test('is drained with its configuration', async () => {
    const { second, recalled } = await secondLife();
    recalled.drain();
    expect(second.known()).toEqual([]);
    expect(() => second.ids.reserve(2, 'other')).not.toThrow();
  });

  test('is checked like a living one: what breaks the rules is refused', async () => {
    const { second, recalled } = await secondLife((cluster) => ({
      ...cluster,
      records: cluster.records.map((record) =>
        record.kind === 'identities' ? { ...record, key: String(9 * 65_536) } : record,
      ),
    }));
    expect(second.known()).toHaveLength(5);
    expect(recalled.status().refused.keys).toMatchObject([{ kind: 'identities', key: '589824' }]);
  });

  test('is void when its id has become ours', async () => {
    const { second, recalled } = await secondLife((cluster) => ({ ...cluster, config: { ...westConfig, id: 1 } }));
    expect(second.known()).toEqual([]);
    expect(recalled.status()).not.toHaveProperty('restored');
    expect(recalled.lost).toBe(false);
  });

  test.each([
    { what: 'its file could not be read', leftOut: undefined, lost: true },
    { what: 'its services did not fit', leftOut: ['services', 'identities', 'ip'], lost: true },
    { what: 'only its addresses did not fit', leftOut: ['ip'], lost: false },
  ])('counts as lost until it is read: $lost, when $what', async ({ leftOut, lost }) => {
    const side = new Side();
    await side.writer().everything();
    const remote = side.remote();
    remote.recall(
      leftOut === undefined
        ? { state: 'lost', reason: 'damaged' }
        : { state: 'found', cluster: { config: westConfig, records: [], leftOut, asOfMs: 0 } },
    );
    expect(remote.lost).toBe(lost);
    follow(remote);
    await until(() => remote.status().ready, 'ready');
    expect(remote.lost).toBe(false);
    expect(remote.status()).not.toHaveProperty('lost');
  });
});
