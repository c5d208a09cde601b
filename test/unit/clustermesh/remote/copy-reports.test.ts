import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  CopyReports,
  type CopyReportRecord,
  RemoteCluster,
  clusterConfigKey,
  copierAliveKey,
  copyReportKey,
  encodeClusterConfig,
  encodeCopyReport,
  encodeTime,
  syncedKey,
} from '../../../../clustermesh/index.ts';
import {
  type Bytes,
  EngineStore,
  MemoryEngine,
  PermissionDeniedError,
  type Store,
  type WatchOptions,
  toBytes,
  toText,
} from '../../../../kvstore/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { Side, config, linkTo, settle, until, westConfig } from './support.ts';

/** An agent that reads west as a kvstoremesh has copied it: into the own cluster's store, or into one of its own. */
class Scene {
  readonly side = new Side();
  /** Where the copies of west lie. */
  readonly own = new EngineStore(this.side.engine('west'), { clock: this.side.clock, endpoint: 'memory' });
  readonly agents: EngineStore;
  readonly copies: CopyReports;
  readonly cluster: RemoteCluster;
  readonly #controller = new AbortController();
  readonly #running: Promise<unknown>[] = [];

  /** @param where the agent's own store; that of the copies unless told */
  constructor(where: 'here' | 'elsewhere' = 'here', through = (store: Store): Store => store) {
    const { clock, view, services, ids, slots, openStore } = this.side;
    this.agents =
      where === 'here' ? this.own : new EngineStore(new MemoryEngine({ clock }), { clock, endpoint: 'elsewhere' });
    this.copies = new CopyReports({ store: this.agents, clock, log: silentLogger });
    this.cluster = new RemoteCluster(
      { name: 'west', own: { cluster: 'east', clusterId: 1 } },
      {
        openStore: (peer) => through(openStore(peer)),
        view,
        services,
        ids,
        slots,
        copies: this.copies,
        clock,
        log: silentLogger,
      },
    );
  }

  async start(lease = 0n): Promise<void> {
    await this.side.writer().heartbeat(this.side.clock.now());
    await this.own.put(clusterConfigKey('west'), encodeClusterConfig({ ...westConfig, cached: true }), { lease });
    for (const kind of ['nodes', 'services', 'ip', 'identities'] as const)
      await this.own.put(syncedKey('west', kind, 'cache'), encodeTime(0));
    const { signal } = this.#controller;
    this.#running.push(this.copies.run(signal), this.cluster.run(config(), signal));
    await until(() => this.cluster.known, 'everything is read');
    await settle();
  }

  async alive(): Promise<void> {
    await this.own.put(copierAliveKey, encodeTime(this.side.clock.now()));
    await settle();
  }

  async report(report: Partial<CopyReportRecord> = {}): Promise<void> {
    const whole = { cluster: 'west', connected: true, synced: true, stale: false, failures: 0, ...report };
    await this.own.put(copyReportKey('west'), encodeCopyReport(whole));
    await settle();
  }

  /** The own cluster's heart beats all the time. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 60_000) {
      await this.side.clock.advance(Math.min(60_000, left));
      await this.side.writer().heartbeat(this.side.clock.now());
      await settle();
    }
  }

  status() {
    const { ready, stale, copies, failure } = this.cluster.status();
    return { ready, stale, state: copies?.state, failure };
  }

  async stop(): Promise<void> {
    this.#controller.abort();
    await Promise.allSettled(this.#running);
  }
}

describe('a remote cluster that is read from copies', () => {
  let scene = new Scene();
  afterEach(async () => {
    await scene.stop();
    scene = new Scene();
  });

  test('is ready as long as the kvstoremesh says so', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    expect(scene.status()).toEqual({ ready: true, stale: false, state: 'current', failure: undefined });
  });

  test('of which nobody says anything is ready, and unknown is said as unknown', async () => {
    await scene.start();
    expect(scene.status()).toEqual({ ready: true, stale: false, state: 'unknown', failure: undefined });
  });

  test('that Cilium’s kvstoremesh copies is unknown whatever one of ours has left behind', async () => {
    await scene.report({ connected: false });
    await scene.alive();
    await scene.start((await scene.own.grantLease({ ttlSeconds: 900 })).id);
    expect(scene.status()).toMatchObject({ ready: true, state: 'unknown' });
  });

  test('is not ready while the kvstoremesh is not connected to it, and stale after two minutes of that', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    const lastHeartbeatMs = scene.side.clock.now();
    await scene.report({ connected: false, lastHeartbeatMs, failure: 'Connection lost' });
    expect(scene.status()).toMatchObject({ ready: false, stale: false, state: 'behind' });
    await scene.pass(60_000);
    await scene.alive();
    await scene.pass(65_000);
    await scene.alive();
    const { ready, stale, failure } = scene.status();
    expect({ ready, stale }).toEqual({ ready: false, stale: true });
    expect(failure).toMatch(/^Its kvstoremesh says: not connected, last heard of 125 seconds ago \(Connection lost\)$/);
    expect(scene.cluster.status()['data-age-seconds']).toBe(125);
    await scene.report();
    expect(scene.status()).toMatchObject({ ready: true, stale: false, failure: undefined });
  });

  test('is stale when the kvstoremesh says so, although the own heart beats', async () => {
    await scene.report({ stale: true });
    await scene.alive();
    await scene.start();
    expect(scene.status()).toMatchObject({ ready: false, stale: true, failure: expect.stringContaining('silent') });
  });

  test('is stale when the kvstoremesh is silent, and a beat that was found counts from its own time', async () => {
    await scene.report();
    await scene.alive();
    await scene.pass(600_000);
    await scene.start();
    expect(scene.status()).toEqual({
      ready: false,
      stale: true,
      state: 'behind',
      failure: 'The kvstoremesh that copies it has been silent for 600 seconds',
    });
    await scene.alive();
    expect(scene.status()).toMatchObject({ ready: true, stale: false });
    await scene.pass(130_000);
    expect(scene.status()).toMatchObject({ ready: false, stale: true });
  });

  test('is stale when a living kvstoremesh does not copy it', async () => {
    await scene.alive();
    await scene.start();
    expect(scene.status()).toMatchObject({ ready: false, stale: true, failure: 'The kvstoremesh does not copy it' });
  });

  test('keeps the last good report when a value is none', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    await scene.own.put(copyReportKey('west'), '{"connected":"yes"}');
    await settle();
    expect(scene.status()).toMatchObject({ ready: true, state: 'current' });
  });

  test('is unknown again once what the kvstoremesh left is removed', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    await scene.own.deletePrefix('isthmus/v1/kvstoremesh/');
    await settle();
    expect(scene.status()).toMatchObject({ ready: true, state: 'unknown' });
  });
});

describe('a remote cluster whose copies lie in a store of the kvstoremesh', () => {
  let scene: Scene;
  beforeEach(() => {
    scene = new Scene('elsewhere');
  });
  afterEach(() => scene.stop());

  test('is ready as long as the kvstoremesh says so there', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    expect(scene.status()).toEqual({ ready: true, stale: false, state: 'current', failure: undefined });
  });

  test('is not ready, and then stale, when the remote is gone, although the store of the copies lives', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    const lastHeartbeatMs = scene.side.clock.now();
    await scene.report({ connected: false, lastHeartbeatMs, failure: 'Connection lost' });
    expect(scene.status()).toMatchObject({ ready: false, stale: false, state: 'behind' });
    await scene.pass(60_000);
    await scene.alive();
    await scene.pass(65_000);
    expect(scene.status()).toMatchObject({ ready: false, stale: true });
  });

  test('is stale when the kvstoremesh is silent, and not fresh for having been connected anew', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    await scene.pass(130_000);
    expect(scene.status()).toMatchObject({ ready: false, stale: true, state: 'behind' });
    scene.side.cut();
    scene.side.heal();
    await scene.pass(60_000);
    await until(() => scene.cluster.current, 'it is connected again');
    await settle();
    expect(scene.status()).toMatchObject({ ready: false, stale: true, state: 'behind' });
  });

  test('is not said to be ready by what may not be read', async () => {
    scene = new Scene('elsewhere', (store) =>
      watched(store, (prefix) => {
        if (prefix.startsWith('isthmus/')) throw new PermissionDeniedError(`May not read ${prefix}`);
      }),
    );
    await scene.start();
    const { ready, state, failure } = scene.status();
    expect({ ready, state }).toEqual({ ready: false, state: 'behind' });
    expect(failure).toMatch(/^What its kvstoremesh says of it was not read yet: May not read isthmus/);
  });

  test('is judged by the own store where its copies are a mirror of that', async () => {
    await scene.agents.put(copyReportKey('west'), encodeCopyReport({ ...good, connected: false, failure: 'Gone' }));
    await scene.agents.put(copierAliveKey, encodeTime(scene.side.clock.now()));
    await scene.start();
    expect(scene.status()).toMatchObject({ ready: false, failure: 'Its kvstoremesh says: not connected (Gone)' });
  });

  test('is read over one connection for all, and over the next one when that ends', async () => {
    await scene.report();
    await scene.alive();
    await scene.start();
    const asked = [0, 0];
    const links = asked.map((_, i) =>
      watched(linkTo(scene.side.engine('west'), scene.side.clock).store, () => void (asked[i] = (asked[i] ?? 0) + 1)),
    );
    const [a, b] = [new AbortController(), new AbortController()];
    const following = links.map((store, i) =>
      scene.copies.follow(store, (i === 0 ? a : b).signal).catch(() => undefined),
    );
    await settle();
    expect(asked).toEqual([0, 0]);
    scene.side.cut();
    await settle();
    expect(asked).toEqual([2, 0]);
    a.abort();
    await settle();
    expect(asked).toEqual([2, 2]);
    b.abort();
    await Promise.all(following);
  });
});

const good: CopyReportRecord = { cluster: 'west', connected: true, synced: true, stale: false, failures: 0 };

/** The same store, whose watches are told before they begin. */
function watched(store: Store, begin: (prefix: string) => void): Store {
  return Object.create(store, {
    listAndWatch: {
      value: (prefix: Bytes, options: WatchOptions) => {
        begin(toText(toBytes(prefix)));
        return store.listAndWatch(prefix, options);
      },
    },
  }) as Store;
}
