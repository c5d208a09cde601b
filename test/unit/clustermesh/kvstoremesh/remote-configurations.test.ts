import { afterEach, describe, expect, test } from '@jest/globals';
import { clusterConfigKey, encodeTime, heartbeatKey } from '../../../../clustermesh/index.ts';
import { Rig } from './support.ts';
import { type Copied, startCopied, state } from './trouble.ts';

describe('kvstoremesh and what a remote says of itself', () => {
  let rig = new Rig();
  afterEach(async () => {
    await rig.stop();
    rig = new Rig();
  });
  const copied: Copied = (...wish) => startCopied(rig, ...wish);

  test('goes on with a remote whose configuration has become unreadable, and calls it not ready as long as that lasts', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { mesh } = rig.start();
    await rig.until(() => mesh.clusters()[0]?.ready === true);
    await remote.store.put(clusterConfigKey('west'), '{"id":"two"}');
    await rig.until(() => mesh.clusters()[0]?.ready === false);
    expect(mesh.clusters()[0]).toMatchObject({
      connected: true,
      'num-failures': 0,
      failure: expect.stringContaining('id of cilium/cluster-config/west'),
      hint: 'Correct the remote cluster’s configuration',
    });
    await remote.put('ip', '10.2.0.77', 'new');
    await rig.until(async () => (await rig.look.get('cilium/cache/ip/v1/west/10.2.0.77')) !== undefined);
    await remote.config();
    await rig.until(() => mesh.clusters()[0]?.ready === true);
    expect(mesh.clusters()[0]).toMatchObject({ 'num-failures': 0 });
  });

  test('does not go on saying that a configuration is missing that has been read', async () => {
    const remote = rig.remote();
    await remote.beat();
    const { mesh } = rig.start();
    await rig.until(() => state(mesh)?.failure !== undefined);
    expect(state(mesh)?.failure).toMatch('no cluster configuration');
    await remote.config();
    await rig.until(() => state(mesh)?.config.retrieved === true);
    expect(state(mesh)).toMatchObject({ ready: false, connected: true });
    expect(state(mesh)?.failure).toMatch(/^Waiting for the canaries of nodes, /);
  });

  test('names remotes that say they have the same id, or ours', async () => {
    await rig.remote('west', 2).everything();
    await rig.remote('north', 2).everything();
    await rig.remote('south', 1).everything();
    const { mesh } = rig.start(['west', 'north', 'south']);
    await rig.until(
      () => mesh.clusters().length === 3 && mesh.clusters().every(({ conflict }) => conflict !== undefined),
    );
    expect(mesh.clusters().map(({ name, ready, conflict }) => ({ name, ready, conflict }))).toEqual([
      { name: 'north', ready: false, conflict: 'clusterID 2 is also that of cluster west' },
      { name: 'south', ready: false, conflict: 'clusterID 1 is also that of cluster east' },
      { name: 'west', ready: false, conflict: 'clusterID 2 is also that of cluster north' },
    ]);
  });

  test('does not copy a remote under another id than it was let in with, and keeps what it copied before', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { mesh, peers } = rig.start([]);
    peers.add('west', '1', 'clusterID: 2\n');
    await rig.until(() => state(mesh)?.ready === true);
    const before = await rig.copies();
    await remote.config({ id: 3 });
    await rig.until(() => state(mesh)?.failure?.includes('calls itself 3') === true, 1_000);
    await rig.pass(120_000);
    expect(state(mesh)).toMatchObject({ ready: false, hint: expect.stringMatching('leaves and joins again') });
    expect(await rig.copies()).toEqual(before);
    expect((await rig.held())['cilium/cluster-config/west']).toMatch('"id":2');
    await remote.config();
    await rig.until(() => state(mesh)?.ready === true, 1_000);
  });

  test.each([
    { what: 'an id beyond the number of clusters', config: { id: 300 }, says: /from 1 to 255, found 300/ },
    { what: 'no id', config: { id: 0 }, says: /from 1 to 255, found 0/ },
    {
      what: 'a way to export that nobody knows',
      config: { endpointSlicesExportMode: 'nonsense' },
      says: /endpointSlicesExportMode/,
    },
  ])('copies a remote with $what, and does not call ready what no agent takes', async ({ config: change, says }) => {
    const remote = rig.remote();
    await remote.everything();
    await remote.config(change);
    const { mesh } = rig.start();
    await rig.until(() => state(mesh)?.conflict !== undefined && mesh.clusters()[0]?.synced.nodes === true);
    expect(state(mesh)).toMatchObject({
      ready: false,
      conflict: expect.stringMatching(says),
      failure: expect.stringMatching(says),
    });
    expect(await rig.copies()).not.toEqual([]);
    await remote.config();
    await rig.until(() => state(mesh)?.ready === true);
  });

  test('does not copy from where it copies to, and says so: a directory of agents leads there', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { stop } = await copied();
    const before = await rig.copies();
    await stop();
    remote.engine = rig.local;
    await rig.look.put(heartbeatKey, encodeTime(rig.clock.now()));
    const { mesh } = rig.start();
    await rig.until(() => state(mesh)?.failure !== undefined);
    expect(state(mesh)).toMatchObject({
      ready: false,
      failure: expect.stringContaining('store of our own cluster'),
      hint: expect.stringContaining('a directory of its own'),
    });
    expect(await rig.copies()).toEqual(before);
  });
});
