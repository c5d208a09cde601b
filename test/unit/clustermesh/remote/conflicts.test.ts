import { afterEach, describe, expect, test } from '@jest/globals';
import {
  OwnSpace,
  type PeerConfig,
  type PeerEvent,
  RemoteClusters,
  cacheKeyOf,
  clusterConfigKey,
  encodeClusterConfig,
  heartbeatKey,
  identityKey,
  ipKey,
  nodeKey,
  syncedKey,
} from '../../../../clustermesh/index.ts';
import {
  type Bytes,
  EngineStore,
  MemoryEngine,
  type Store,
  type WatchBatch,
  type WatchOptions,
  toText,
} from '../../../../kvstore/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { Random } from '../../../../runtime/random/index.ts';
import { clusterIdOf, identityRange } from '../../../../values/identity/index.ts';
import { RemoteWriter, Side, config, settle, until, westConfig } from './support.ts';

/** Configurations as they come and go, from a test. */
class Peers {
  readonly #events: PeerEvent[] = [];
  #wake: () => void = () => undefined;

  tell(...events: PeerEvent[]): void {
    this.#events.push(...events);
    this.#wake();
  }

  async *events(signal: AbortSignal): AsyncGenerator<PeerEvent, void, void> {
    while (!signal.aborted) {
      const event = this.#events.shift();
      if (event) yield event;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          signal.addEventListener('abort', () => resolve(), { once: true });
        });
    }
  }
}

describe('the remote clusters of an agent', () => {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  const follow = (
    side: Side,
    options: { maxConnectedClusters?: 255 | 511; id?: number; concurrentSyncs?: number } = {},
    openStore = side.openStore,
  ) => {
    const peers = new Peers();
    const { id = 1, ...others } = options;
    const clusters = new RemoteClusters(
      { own: { cluster: 'east', clusterId: id }, concurrentSyncs: 64, ...others },
      {
        openStore,
        view: side.view,
        services: side.services,
        ownSpace: new OwnSpace(),
        clock: side.clock,
        log: silentLogger,
      },
    );
    const controller = new AbortController();
    const running = clusters.run(peers.events(controller.signal), controller.signal).catch(() => undefined);
    stops.push(async () => {
      controller.abort();
      await running;
    });
    const find = (name: string) => clusters.statuses().find((one) => one.name === name);
    const status = (name: string) => {
      const found = find(name);
      if (!found) throw new Error(`Nobody follows ${name}`);
      return found;
    };
    const add = (...names: string[]): void =>
      peers.tell(...names.map((name) => ({ type: 'add', config: config(name) }) as const));
    const remove = (cluster: string): void => peers.tell({ type: 'remove', cluster });
    return { clusters, find, status, add, remove };
  };

  test('may be 511, with identities of nine bits each', async () => {
    const side = new Side();
    const engine = new MemoryEngine({ clock: side.clock });
    const store = new EngineStore(engine, { clock: side.clock, endpoint: 'memory' });
    const mesh = follow(side, { maxConnectedClusters: 511, id: 1 });
    const names: string[] = [];
    for (let id = 2; id <= 511; id++) {
      const name = `c${id}`;
      names.push(name);
      side.engines.set(name, engine);
      await copyOfSmallCluster(store, name, id);
    }
    // The 511th remote: its id is taken.
    side.engines.set('twin', engine);
    await copyOfSmallCluster(store, 'twin', 77);
    await store.put(heartbeatKey, new Date(side.clock.now()).toISOString());
    mesh.add(...names, 'twin');
    const readyOnes = (): number => mesh.clusters.statuses().filter(({ ready }) => ready).length;
    for (let turn = 0; turn < 1000 && readyOnes() < 510; turn++) await settle(100);
    expect(readyOnes()).toBe(510);
    expect(side.view.counts).toEqual({ nodes: 510, ips: 510, identities: 510 });
    for (const { record, origin } of side.view.ipSources()) {
      expect(clusterIdOf(record.identity, 511)).toBe(origin.clusterId);
      expect(record.identity).toBe(origin.clusterId * 32_768 + 5);
    }
    expect(mesh.status('twin')).toMatchObject({
      ready: false,
      failure: 'clusterID 77 is already used by cluster c77',
    });
    expect(identityRange(511, 511)).toEqual({ min: 511 * 32_768, max: 512 * 32_768 - 1 });
  }, 120_000);

  test('may all come back at once, 254 of them: a few are listed at a time, and nothing is lost', async () => {
    const side = new Side();
    const engine = new MemoryEngine({ clock: side.clock });
    const store = new EngineStore(engine, { clock: side.clock, endpoint: 'memory' });
    const names = Array.from({ length: 254 }, (_, i) => `c${i + 2}`);
    for (const [i, name] of names.entries()) {
      side.engines.set(name, engine);
      await copyOfSmallCluster(store, name, i + 2, 255);
    }
    await store.put(heartbeatKey, new Date(side.clock.now()).toISOString());
    let listing = 0;
    let most = 0;
    const attempts: number[] = [];
    const openStore = (peer: PeerConfig): Store => {
      attempts.push(side.clock.monotonicMs());
      const opened = side.openStore(peer);
      const listAndWatch = async function* (prefix: Bytes, options: WatchOptions): AsyncGenerator<WatchBatch> {
        const counts = String(prefix).startsWith('cilium/cache/');
        let begun = false;
        try {
          for await (const batch of opened.listAndWatch(prefix, options)) {
            if (counts && batch.type === 'restart' && !begun) most = Math.max(most, ++listing);
            if (counts && batch.type === 'restart') begun = true;
            if (begun && batch.type === 'synced') listing -= 1;
            if (batch.type === 'synced') begun = false;
            yield batch;
          }
        } finally {
          if (begun) listing -= 1;
        }
      };
      return Object.create(opened, { listAndWatch: { value: listAndWatch } }) as Store;
    };
    const mesh = follow(side, { concurrentSyncs: 4 }, openStore);
    mesh.add(...names);
    const readyOnes = (): number => mesh.clusters.statuses().filter(({ ready }) => ready).length;
    const allReady = async (): Promise<void> => {
      for (let turn = 0; turn < 1000 && readyOnes() < 254; turn++) {
        await side.clock.advance(100);
        await settle(20);
      }
      expect(readyOnes()).toBe(254);
    };
    await allReady();
    const { counts, version } = side.view;
    side.cut();
    await side.clock.advance(20_000);
    await settle();
    expect(readyOnes()).toBe(0);
    expect(side.view.counts).toEqual(counts);
    attempts.length = 0;
    side.heal();
    await store.put(heartbeatKey, new Date(side.clock.now()).toISOString());
    await allReady();
    expect(side.view.version).toBe(version);
    expect(most).toBeLessThanOrEqual(4);
    // Not in step: a server that is back must not have all of them in the same moment.
    expect(new Set(attempts).size).toBeGreaterThan(20);
  }, 120_000);

  test('keep an id to whom came first, until its configuration goes', async () => {
    const side = new Side();
    await side.writer('west', 2).everything();
    await side.writer('north', 2).everything();
    const mesh = follow(side);
    mesh.add('west');
    await until(() => mesh.clusters.statuses()[0]?.ready === true, 'west is ready');
    mesh.add('north');
    await until(() => (mesh.find('north')?.['num-failures'] ?? 0) > 0, 'north is refused');
    expect(mesh.status('north')).toMatchObject({ failure: 'clusterID 2 is already used by cluster west' });
    await side.clock.advance(100_000);
    expect(mesh.status('west')['num-failures']).toBe(0);
    expect(mesh.status('north').ready).toBe(false);

    mesh.remove('west');
    await until(() => mesh.clusters.statuses().length === 1, 'west has gone');
    await side.writer('north', 2).heartbeat(side.clock.now());
    await side.clock.advance(31_000);
    await until(() => mesh.status('north').ready, 'north is ready');
    expect([...side.view.nodes()].map(({ cluster }) => cluster)).toEqual(['north', 'north']);
  });

  test.each([
    {
      when: 'has another name than its file',
      name: 'vest',
      words: 'The remote store has no cluster configuration for vest',
      hint: 'The file name must be the name that the remote cluster gives itself; its apiserver must run',
    },
    {
      when: 'means another number of clusters while ours is 511',
      max: 511,
      change: { maxConnectedClusters: 255 },
      words:
        "Member capabilities.maxConnectedClusters of cilium/cluster-config/west must be the local cluster's 511, found 255",
    },
    {
      when: 'does not say how many clusters it means while ours is 511',
      max: 511,
      change: { maxConnectedClusters: undefined },
      words: "must be the local cluster's 511, found nothing",
    },
    {
      when: 'has a mode of slices that nobody knows',
      change: { endpointSlicesExportMode: 'sideways' },
      words: 'must be absent, "services-and-endpointslices" or "endpointslices-only", found "sideways"',
    },
    { when: 'has id 0', change: { id: 0 }, words: 'must be from 1 to 255, found 0' },
    { when: 'has an id beyond the number of clusters', change: { id: 256 }, words: 'must be from 1 to 255, found 256' },
    { when: 'has an id beyond 511', max: 511, change: { id: 512, maxConnectedClusters: 511 }, words: 'from 1 to 511' },
    { when: 'has our id', change: { id: 1 }, words: 'another id than that of the local cluster, found 1' },
  ] as const)('leave out one that $when, and try again', async (row) => {
    const {
      name = 'west',
      max = 255,
      change = {},
      words,
      hint,
    } = { name: undefined, max: undefined, change: undefined, hint: undefined, ...row };
    const side = new Side();
    const writer = side.writer('west', 2);
    await writer.everything();
    const { maxConnectedClusters, ...wrong } = { ...westConfig, ...change };
    await writer.config({ ...wrong, ...(maxConnectedClusters === undefined ? {} : { maxConnectedClusters }) });
    side.engines.set(name, side.engine('west'));
    const mesh = follow(side, { maxConnectedClusters: max });
    mesh.add(name);
    await until(() => mesh.clusters.statuses()[0]?.failure !== undefined, 'a failure');
    // A configuration that is missing is looked for during three minutes; that is one attempt.
    await side.clock.advance(name === 'west' ? 5000 : 185_000);
    expect(mesh.status(name)).toMatchObject({ ready: false, failure: expect.stringContaining(words) });
    expect(mesh.status(name)['num-failures']).toBeGreaterThan(0);
    expect(mesh.status(name).hint).toBe(hint ?? 'Correct the remote cluster’s configuration');
    expect(mesh.clusters.waitingFor()).not.toEqual([]);
    expect(side.known()).toEqual([]);
    if (name !== 'west') return;

    await writer.config({ ...westConfig, maxConnectedClusters: max });
    await writer.heartbeat(side.clock.now());
    await side.clock.advance(31_000);
    if (max === 255) await until(() => mesh.status(name).ready, 'ready once it is right');
    else await until(() => mesh.status(name).config.retrieved, 'followed once it is right');
  });

  test('take one that means 511 while ours is 255: only the other way round ranges differ', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    await writer.config({ ...westConfig, maxConnectedClusters: 511 });
    const mesh = follow(side);
    mesh.add('west');
    await until(() => mesh.clusters.statuses()[0]?.ready === true, 'ready');
  });

  test('share an address that two of them claim: the last writer has it, and the other gets it back', async () => {
    const side = new Side();
    const west = side.writer('west', 2);
    const north = side.writer('north', 3);
    for (const writer of [west, north]) {
      await writer.config();
      await writer.heartbeat(side.clock.now());
      await writer.canaries();
    }
    await west.ip('10.9.0.1', '192.168.2.1');
    const mesh = follow(side);
    mesh.add('west', 'north');
    await until(() => mesh.clusters.statuses().filter(({ ready }) => ready).length === 2, 'both are ready');
    const holder = (): string | undefined => side.view.ipSource('10.9.0.1/32')?.origin.cluster;
    expect(holder()).toBe('west');
    await north.ip('10.9.0.1', '192.168.3.1');
    await until(() => holder() === 'north', 'the last writer');
    // Said again, nothing moves.
    await west.ip('10.9.0.1', '192.168.2.1');
    await settle();
    expect(holder()).toBe('north');
    // Ours beats both.
    const own = side.view.writer({ cluster: 'east', clusterId: 1 });
    const record = side.view.ip('10.9.0.1/32');
    if (!record) throw new Error('Nobody claims it');
    own.upsertIp({ ...record, hostIp: '192.168.1.1' });
    await north.ip('10.9.0.1', '192.168.3.2');
    await settle();
    expect(holder()).toBe('east');
    own.removeIp('10.9.0.1/32');
    expect(side.view.ip('10.9.0.1/32')).toMatchObject({ hostIp: '192.168.3.2' });
    await north.store.delete(ipKey('10.9.0.1'));
    await until(() => holder() === 'west', 'the other has it again');
    await west.store.delete(ipKey('10.9.0.1'));
    await until(() => holder() === undefined, 'nobody has it');
  });

  test('that are removed and added again are as if they had never been away', async () => {
    const side = new Side();
    await side.writer().everything();
    const mesh = follow(side);
    mesh.add('west');
    await until(() => mesh.clusters.statuses()[0]?.ready === true, 'ready');
    const before = side.known();
    mesh.remove('west');
    await until(() => mesh.clusters.statuses().length === 0, 'gone');
    expect(side.known()).toEqual([]);
    expect(side.view.counts).toEqual({ nodes: 0, ips: 0, identities: 0 });
    mesh.add('west');
    await until(() => mesh.clusters.statuses()[0]?.ready === true, 'ready again');
    expect(side.known()).toEqual(before);
  });

  test('that are gone for ten minutes equal a fresh reading afterwards, whatever happened meanwhile', async () => {
    const random = new Random(11);
    for (let round = 0; round < 4; round++) {
      const side = new Side();
      const writer = side.writer();
      await writer.everything();
      const mesh = follow(side);
      mesh.add('west');
      await until(() => mesh.clusters.statuses()[0]?.ready === true, 'ready');
      const before = side.known();
      side.cut();
      if (random.chance(0.3)) {
        // It comes back with an empty store, under the same id.
        side.engines.set('west', new MemoryEngine({ clock: side.clock }));
        await side.writer().everything();
      }
      const now = side.writer();
      for (let i = 0; i < 40; i++) {
        const host = `192.168.2.${1 + random.int(2)}`;
        const address = `10.2.1.${random.int(20)}`;
        if (random.chance(0.6)) await now.ip(address, host);
        else await now.store.delete(ipKey(address));
        if (random.chance(0.1)) await now.store.delete(nodeKey('west', 'w2'));
        if (random.chance(0.1)) await now.identity(131_073 + random.int(5));
      }
      await side.clock.advance(10 * 60_000);
      expect(side.known()).toEqual(before);
      await now.heartbeat(side.clock.now());
      side.heal();
      await side.clock.advance(31_000);
      await until(() => mesh.status('west').ready, 'ready again');
      const fresh = new Side();
      fresh.engines.set('west', side.engine());
      const other = follow(fresh);
      other.add('west');
      await until(() => other.find('west')?.ready === true, 'fresh reading');
      expect(side.known()).toEqual(fresh.known());
    }
  });

  test('that are read from a copy by kvstoremesh are known as from their own stores, byte for byte', async () => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    await writer.ip('fd00:10:2::7', '192.168.2.2');
    const direct = side.remote();
    const controller = new AbortController();
    const directRun = direct.run(config(), controller.signal).catch(() => undefined);
    await until(() => direct.status().ready, 'ready');

    const copied = new Side();
    const cache = new EngineStore(copied.engine(), { clock: copied.clock, endpoint: 'memory' });
    const kept = new Map<string, string>();
    for await (const page of writer.store.list('cilium/state/'))
      for (const { key, value } of page.entries) {
        kept.set(toText(key), toText(value));
        await cache.put(cacheKeyOf(toText(key), 'west'), value);
      }
    await cache.put(clusterConfigKey('west'), encodeClusterConfig({ ...westConfig, cached: true }));
    for (const kind of ['nodes', 'services', 'ip', 'identities'] as const)
      await cache.put(syncedKey('west', kind, 'cache'), 'now');
    await cache.put(heartbeatKey, new Date(copied.clock.now()).toISOString());
    const cached = copied.remote();
    const cachedRun = cached.run(config(), controller.signal).catch(() => undefined);
    await until(() => cached.status().ready, 'ready');

    expect(copied.known()).toEqual(side.known());
    expect(cached.status().config.kvstoremesh).toBe(true);
    const content = (remote: typeof cached) =>
      remote.content().kinds.flatMap(({ kind, records }) => [...records].map(({ key, value }) => [kind, key, value]));
    expect(content(cached)).toEqual(content(direct));
    const prefixes: Readonly<Record<string, string>> = {
      nodes: nodeKey('west', 'x').slice(0, -1),
      services: 'cilium/state/services/v1/west/',
      identities: identityKey(0).slice(0, -1),
      ip: 'cilium/state/ip/v1/default/',
    };
    for (const [kind, key, value] of content(cached)) expect(value).toBe(kept.get(`${prefixes[kind ?? '']}${key}`));
    expect(content(cached)).toHaveLength(kept.size);
    controller.abort();
    await Promise.all([directRun, cachedRun]);
  });
});

/** A node, an address and its identity, as a kvstoremesh keeps them. */
async function copyOfSmallCluster(
  store: Store,
  name: string,
  id: number,
  maxConnectedClusters: 255 | 511 = 511,
): Promise<void> {
  const identity = identityRange(id, maxConnectedClusters).min + 5;
  const address = `10.${Math.floor(id / 256) + 100}.${id % 256}.1`;
  const host = `192.168.${Math.floor(id / 256)}.${id % 256}`;
  const scratch = new Map<string, string>();
  const writer = new RemoteWriter(
    { put: async (key: string, value: string) => scratch.set(key, value) } as unknown as Store,
    name,
    id,
  );
  await writer.node('n1', host, `10.${Math.floor(id / 256) + 100}.${id % 256}.0/24`);
  await writer.ip(address, host, identity);
  await writer.identity(identity);
  for (const [key, value] of scratch) await store.put(cacheKeyOf(key, name), value);
  for (const kind of ['nodes', 'services', 'ip', 'identities'] as const)
    await store.put(syncedKey(name, kind, 'cache'), 'now');
  await store.put(
    clusterConfigKey(name),
    encodeClusterConfig({ id, syncedCanaries: true, cached: true, maxConnectedClusters }),
  );
}
