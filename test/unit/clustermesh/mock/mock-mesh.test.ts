import { describe, expect, test } from '@jest/globals';
import {
  type Layout,
  MockMesh,
  type MockMeshOptions,
  type MockShape,
  clusterConfigKey,
  decodeClusterConfig,
  decodeIdentity,
  decodeIp,
  decodeNode,
  decodeService,
  syncedKey,
  watchPrefix,
} from '../../../../clustermesh/index.ts';
import { EngineStore, MemoryEngine, type Store, toText } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

const shape: MockShape = {
  clusters: 3,
  nodes: 4,
  identities: 5,
  endpoints: 30,
  services: 2,
  endpointChanges: 10,
  identityChanges: 2,
  nodeChanges: 1,
};

interface Scene extends AsyncDisposable {
  readonly mesh: MockMesh;
  readonly clock: VirtualClock;
  readonly store: Store;
  storeOf(cluster: string): Store;
}

function open(options: Partial<MockMeshOptions> = {}): Scene {
  const clock = new VirtualClock();
  const made = new AsyncDisposableStack();
  const stores = new Map<string, Store>();
  const { layout = 'cache' } = options;
  const storeOf = (cluster: string): Store => {
    const name = layout === 'cache' ? 'all' : cluster;
    const store =
      stores.get(name) ??
      made.use(
        new EngineStore(made.use(new MemoryEngine({ clock, log: silentLogger })), { clock, endpoint: 'memory' }),
      );
    stores.set(name, store);
    return store;
  };
  const mesh = new MockMesh({ shape, layout, seed: 1, ...options }, { storeOf, clock, log: silentLogger });
  return {
    mesh,
    clock,
    store: storeOf('cluster-001'),
    storeOf,
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}

async function contentsOf(store: Store): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for await (const { entries } of store.list(''))
    for (const { key, value } of entries) contents.set(toText(key), toText(value));
  return contents;
}

const never = new AbortController().signal;

/** What a reader of the mesh accepts, by kind. @throws for the first record that it would refuse. */
function accepted(contents: ReadonlyMap<string, string>, cluster: string, clusterId: number, layout: Layout) {
  const origin = { cluster, clusterId };
  const under = (resource: 'nodes' | 'services' | 'ip' | 'identities') => {
    const prefix = watchPrefix(resource, cluster, layout);
    return [...contents]
      .filter(([key]) => key.startsWith(prefix))
      .map(([key, value]) => [key.slice(prefix.length), value] as const);
  };
  return {
    nodes: under('nodes').map(([name, value]) => decodeNode(`x/${name}`, value, origin)),
    identities: under('identities').map(([id, value]) => decodeIdentity(id, value, origin)),
    ips: under('ip').map(([ip, value]) => decodeIp(ip, value, origin)),
    services: under('services').map(([name, value]) => decodeService(name, value, origin)),
  };
}

describe('a mock of clusters', () => {
  test.each(['cache', 'state'] as const)('says in layout %s what a reader of a mesh accepts', async (layout) => {
    await using scene = open({ layout });
    await scene.mesh.fill(never);
    for (const [i, name] of scene.mesh.names.entries()) {
      const contents = await contentsOf(scene.storeOf(name));
      const { nodes, identities, ips, services } = accepted(contents, name, i + 1, layout);
      expect([nodes.length, identities.length, ips.length, services.length]).toEqual([4, 5, 30, 2]);
      const known = new Set(identities.map(({ id }) => id));
      expect(ips.filter(({ identity }) => !known.has(identity))).toEqual([]);
      const config = decodeClusterConfig('', contents.get(clusterConfigKey(name)) ?? '');
      expect(config).toMatchObject({ id: i + 1, syncedCanaries: true, cached: layout === 'cache' });
      expect(contents.has(syncedKey(name, 'ip', layout))).toBe(true);
    }
  });

  test('says the same for the same seed, and something else for another', async () => {
    const told = async (seed: number): Promise<string> => {
      await using scene = open({ seed });
      await scene.mesh.fill(never);
      await run(scene, 5_000);
      return JSON.stringify([...(await contentsOf(scene.store))]);
    };
    expect(await told(7)).toBe(await told(7));
    expect(await told(7)).not.toBe(await told(8));
  });

  test('changes at its rates, and stays as large as it is', async () => {
    await using scene = open();
    await scene.mesh.fill(never);
    await run(scene, 60_000);
    expect(scene.mesh.counts.changes).toBe(3 * 60 * 13);
    const contents = await contentsOf(scene.store);
    for (const [i, name] of scene.mesh.names.entries()) {
      const { nodes, identities, ips } = accepted(contents, name, i + 1, 'cache');
      expect(nodes).toHaveLength(4);
      expect(Math.abs(identities.length - 5)).toBeLessThanOrEqual(1);
      expect(Math.abs(ips.length - 30)).toBeLessThanOrEqual(1);
    }
  });

  test('comes back after each of its faults', async () => {
    const still = { ...shape, endpointChanges: 0, identityChanges: 0, nodeChanges: 0 };
    for (const fault of ['lease', 'garbage', 'foreign', 'config'] as const) {
      await using scene = open({ shape: still, faults: [fault], faultEveryMs: 1_000 });
      await scene.mesh.fill(never);
      const before = await contentsOf(scene.store);
      await run(scene, 9_500, async (passed) => {
        if (fault !== 'lease' && passed === 1_500) expect(await contentsOf(scene.store)).not.toEqual(before);
      });
      expect(scene.mesh.counts.faults).toBe(fault === 'lease' ? 9 : 3);
      const contents = await contentsOf(scene.store);
      for (const [i, name] of scene.mesh.names.entries()) {
        expect(accepted(contents, name, i + 1, 'cache').ips).toHaveLength(30);
        expect(contents.has(clusterConfigKey(name))).toBe(true);
      }
    }
  });

  test('refuses what no mesh can hold', () => {
    expect(() => open({ shape: { ...shape, clusters: 256 } })).toThrow('clusters must be a whole number from 1 to 255');
    expect(() => open({ shape: { ...shape, nodes: 0 } })).toThrow('nodes must be a whole number from 1');
    expect(() => open({ firstClusterId: 254 })).toThrow('Cluster ids must be from 1 to 255, found 254 to 256');
    expect(() => open({ firstClusterId: 254, maxConnectedClusters: 511 })).not.toThrow();
  });
});

/** Lets it run for a virtual time, a slice at a time, and stops it between two slices. */
async function run(
  { mesh, clock }: Scene,
  ms: number,
  look: (passed: number) => unknown = () => undefined,
): Promise<void> {
  const stopping = new AbortController();
  const running = mesh.run(stopping.signal).catch(() => undefined);
  for (let passed = 0; passed < ms; passed += 50) {
    await look(passed);
    await new Promise(setImmediate);
    await clock.advance(50);
    await new Promise(setImmediate);
  }
  await new Promise(setImmediate);
  stopping.abort();
  await running;
}
