import { afterEach, describe, expect, test } from '@jest/globals';
import { Rig } from './support.ts';
import { type Copied, startCopied, state, watchLosses } from './trouble.ts';

describe('kvstoremesh', () => {
  let rig = new Rig();
  afterEach(async () => {
    await rig.stop();
    rig = new Rig();
  });
  const copied: Copied = (...wish) => startCopied(rig, ...wish);

  describe('when the configuration of a remote is removed', () => {
    test('its configuration goes, after three minutes canaries and data, and nothing of others', async () => {
      await rig.remote().everything();
      await rig.remote('north', 3).everything();
      await rig.look.put('cilium/cluster-config/east', '{"id":1,"capabilities":{"syncedCanaries":true}}');
      await rig.look.put('cilium/synced/east/cilium/state/nodes/v1', 'ours');
      const { mesh, peers } = await copied(['west', 'north']);
      const all = Object.keys(await rig.held());
      peers.remove('west');
      await rig.pass(175_000);
      expect(Object.keys(await rig.held())).toEqual(all.filter((key) => key !== 'cilium/cluster-config/west'));
      expect(mesh.status()).toMatchObject({
        clusters: [{ name: 'north' }],
        draining: [{ name: 'west', phase: 'waiting' }],
      });
      await rig.pass(10_000);
      expect(Object.keys(await rig.held())).toEqual(all.filter((key) => !key.includes('/west')));
      expect(mesh.status().draining).toEqual([]);
      expect(await rig.held('isthmus/v1/drains/')).toEqual({});
    });

    test('and added again within three minutes, nothing is lost but the configuration, for a moment', async () => {
      await rig.remote().everything();
      const { mesh, peers } = await copied();
      await using losses = await watchLosses(rig);
      peers.remove('west');
      await rig.pass(100_000);
      peers.add('west', '2');
      await rig.until(() => state(mesh)?.ready === true, 1000);
      await rig.pass(200_000);
      expect(losses.keys).toEqual(['cilium/cluster-config/west']);
      expect(Object.keys(await rig.held('cilium/cluster-config/'))).toEqual(['cilium/cluster-config/west']);
      expect(await rig.held('isthmus/v1/drains/')).toEqual({});
    });

    test.each([
      { when: 'before it restarts', whileDown: false },
      { when: 'while it is down', whileDown: true },
    ])('its copies go even if that was $when', async ({ whileDown }) => {
      await rig.remote().everything();
      const { peers, stop } = await copied();
      if (!whileDown) {
        peers.remove('west');
        await rig.pass(100_000);
      }
      await stop();
      rig.start([]);
      await rig.pass(175_000);
      expect(await rig.copies()).toHaveLength(5);
      await rig.pass(10_000);
      expect(await rig.held()).toEqual({});
    });

    test('but not while its file is there and holds nothing at the start: that is no removal', async () => {
      await rig.remote().everything();
      const { stop } = await copied();
      const before = await rig.copies();
      await stop();
      const { mesh, peers } = rig.start([], {}, rig.localLink, ['west']);
      await rig.pass(400_000);
      expect(mesh.status()).toMatchObject({ leader: true, clusters: [], draining: [] });
      expect(await rig.copies()).toEqual(before);
      peers.remove('west');
      await rig.pass(200_000);
      expect(await rig.held()).toEqual({});
    });

    test('and is back when another process takes over, nothing goes, and nothing tells of a removal any more', async () => {
      await rig.remote().everything();
      const { peers, stop } = await copied();
      const before = await rig.copies();
      peers.remove('west');
      await rig.pass(100_000);
      await stop();
      const { mesh } = rig.start();
      await rig.until(() => state(mesh)?.ready === true, 1000);
      await rig.pass(200_000);
      expect(await rig.copies()).toEqual(before);
      expect(await rig.held('isthmus/v1/drains/')).toEqual({});
    });

    test('its copies stay where that was asked for', async () => {
      await rig.remote().everything();
      const { peers } = await copied(['west'], { disableDrainOnDisconnection: true });
      const before = await rig.held();
      peers.remove('west');
      await rig.pass(400_000);
      expect(await rig.held()).toEqual(before);
    });
  });
});
