import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  ClusterIds,
  CopyReports,
  RemoteCluster,
  ServiceTable,
  SyncSlots,
  createMeshView,
  encodeTime,
  heartbeatKey,
} from '../../../../clustermesh/index.ts';
import { EngineStore, MemoryEngine } from '../../../../kvstore/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';
import { Link, Rig, config } from './support.ts';

/** A kvstoremesh that writes into a store of its own, and an agent whose apiserver has another. */
describe('an agent that reads copies from a store of the kvstoremesh', () => {
  let rig: Rig;
  let cluster: RemoteCluster;
  let stop: () => Promise<void>;
  let stopMesh: () => Promise<void>;
  beforeEach(async () => {
    rig = new Rig();
    const { clock } = rig;
    const store = new EngineStore(new MemoryEngine({ clock }), { clock, endpoint: 'the apiserver’s' });
    const copies = new CopyReports({ store, clock, log });
    cluster = new RemoteCluster(
      { name: 'west', own: { cluster: 'east', clusterId: 1 } },
      {
        openStore: () => new Link(rig.local, clock).store,
        view: createMeshView({ ownCluster: 'east' }),
        services: new ServiceTable({ ownCluster: 'east' }),
        ids: new ClusterIds(1),
        slots: new SyncSlots({ clock }),
        copies,
        clock,
        log,
      },
    );
    await rig.remote().everything();
    await beat();
    ({ stop: stopMesh } = rig.start(['west']));
    const stopping = new AbortController();
    const running = [copies.run(stopping.signal), cluster.run(config(), stopping.signal)].map((one) =>
      one.catch(() => undefined),
    );
    stop = async () => {
      stopping.abort();
      await Promise.all(running);
    };
    await rig.until(() => cluster.status().copies?.state === 'current', 100);
  });
  afterEach(async () => {
    await stop();
    await rig.stop();
  });

  /** The store of the copies has a heart of its own, whatever becomes of the remote. */
  const beat = async (): Promise<void> => {
    await rig.look.put(heartbeatKey, encodeTime(rig.clock.now()));
  };
  /** @param remote whether the remote's heart beats, too */
  const pass = async (ms: number, remote: boolean): Promise<void> => {
    for (let left = ms; left > 0; left -= 10_000) {
      await beat();
      await rig.pass(Math.min(left, 10_000), remote);
    }
  };
  const said = () => {
    const { ready, stale, copies } = cluster.status();
    return { ready, stale, copies: copies?.state };
  };

  test('calls the remote ready while it is', async () => {
    await pass(300_000, true);
    expect(said()).toEqual({ ready: true, stale: false, copies: 'current' });
  });

  test('never calls it ready once it is gone, and stale two minutes after that', async () => {
    rig.cut();
    await rig.until(() => !cluster.status().ready, 500);
    expect(said().copies).toBe('behind');
    for (let minute = 0; minute < 5; minute++) {
      await pass(60_000, false);
      expect(said().ready).toBe(false);
    }
    expect(said()).toEqual({ ready: false, stale: true, copies: 'behind' });
    expect(cluster.status().failure).toMatch(/^Its kvstoremesh says: not connected, last heard of \d+ seconds ago/);
    rig.heal();
    await until(
      () => cluster.status().ready,
      () => pass(1_000, true),
    );
  });

  test('calls it stale while its writer is silent, although its store lives', async () => {
    await pass(180_000, false);
    expect(said()).toEqual({ ready: false, stale: true, copies: 'behind' });
    await pass(600_000, false);
    expect(said()).toEqual({ ready: false, stale: true, copies: 'behind' });
    await pass(60_000, true);
    expect(said()).toEqual({ ready: true, stale: false, copies: 'current' });
  });

  test('calls it stale when the kvstoremesh is gone and its store is served on', async () => {
    await stopMesh();
    await pass(180_000, true);
    expect(said()).toEqual({ ready: false, stale: true, copies: 'behind' });
  });
});
