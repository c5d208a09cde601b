import { afterEach, describe, expect, test } from '@jest/globals';
import { Rig, resources } from './support.ts';
import { type Copied, startCopied, state, watchLosses } from './trouble.ts';

describe('kvstoremesh and the leases of a remote', () => {
  let rig = new Rig();
  afterEach(async () => {
    await rig.stop();
    rig = new Rig();
  });
  const copied: Copied = (...wish) => startCopied(rig, ...wish);

  test('does not take the end of a dead writer’s leases for deletions', async () => {
    const remote = rig.remote();
    await remote.config();
    await remote.beat();
    const lease = await remote.store.grantLease({ ttlSeconds: 900 });
    await remote.records(lease.id);
    await remote.canaries();
    const { mesh } = await copied();
    await rig.clock.advance(121_000);
    await lease.revoke();
    await rig.clock.advance(2000);
    // The configuration is still there: only the silence tells.
    expect(await rig.copies()).toHaveLength(5);
    expect(state(mesh)).toMatchObject({ ready: false, stale: true, 'held-removals': 5 });
    // A writer that begins anew gives its sign of life first, and then says what there is.
    await using losses = await watchLosses(rig);
    await rig.pass(20_000);
    await remote.put('nodes', 'w1', 'node w1');
    await remote.put('ip', '10.2.1.5', 'ip 5');
    await remote.put('identities', '131073', 'labels');
    await remote.put('services', 'shop/web', 'service');
    await rig.pass(60_000);
    expect(losses.keys).toEqual([]);
    await rig.pass(60_000);
    expect(losses.keys).toEqual(['cilium/cache/ip/v1/west/10.2.1.6']);
    expect(state(mesh)).toMatchObject({ ready: true, stale: false });
  });

  describe('when a remote has lost its lease, keys and configuration in one revision,', () => {
    const lost = async (options = {}) => {
      const remote = rig.remote();
      const lease = await remote.store.grantLease({ ttlSeconds: 900 });
      await remote.config({}, lease.id);
      await remote.beat();
      await remote.records(lease.id);
      await remote.canaries(resources, lease.id);
      const { mesh, stop } = await copied(['west'], options);
      const losses = await watchLosses(rig);
      await lease.revoke();
      await rig.until(() => state(mesh)?.['held-removals'] === 5);
      return { remote, mesh, stop, losses };
    };

    test('keeps all of it as stale until it is back, without one deletion', async () => {
      const { remote, mesh, losses } = await lost();
      await rig.pass(60_000);
      expect(await rig.copies()).toHaveLength(5);
      expect(state(mesh)).toMatchObject({
        ready: false,
        stale: true,
        failure: expect.stringContaining('lost its configuration'),
        hint: expect.stringContaining('Start the remote apiserver'),
      });
      await remote.config();
      await remote.records();
      await remote.canaries();
      await rig.until(() => state(mesh)?.ready === true, 1000);
      expect(await rig.copies()).toHaveLength(5);
      expect(losses.keys).toEqual([]);
      await losses[Symbol.asyncDispose]();
    });

    test('removes what has not come back with the rest', async () => {
      const { remote, mesh, losses } = await lost();
      await remote.records();
      await remote.delete('ip', '10.2.1.6');
      await rig.pass(10_000);
      expect(losses.keys).toEqual([]);
      await remote.config();
      await rig.pass(10_000);
      expect(losses.keys).toEqual([]);
      await remote.canaries();
      await rig.until(() => state(mesh)?.ready === true, 1000);
      expect(losses.keys).toEqual(['cilium/cache/ip/v1/west/10.2.1.6']);
      await losses[Symbol.asyncDispose]();
    });

    test('and then begins anew with an empty store, keeps it until that is complete, however long it takes', async () => {
      const { remote, mesh, losses } = await lost();
      rig.cut();
      remote.wipe();
      await remote.config();
      await remote.beat();
      rig.heal();
      for (let minute = 0; minute < 5; minute++) {
        await rig.pass(60_000);
        await remote.beat();
      }
      expect(losses.keys).toEqual([]);
      await remote.records();
      await remote.delete('ip', '10.2.1.6');
      await remote.canaries();
      await rig.until(() => state(mesh)?.ready === true, 1000);
      expect(losses.keys).toEqual(['cilium/cache/ip/v1/west/10.2.1.6']);
      await losses[Symbol.asyncDispose]();
    });

    test('removes it once the grace is over', async () => {
      const { losses } = await lost({ leaseLossGraceMs: 300_000 });
      await rig.pass(290_000);
      expect(losses.keys).toEqual([]);
      await rig.pass(15_000);
      expect(losses.keys).toHaveLength(5);
      await losses[Symbol.asyncDispose]();
    });

    test('keeps it for ever where the grace is 0, as an agent does', async () => {
      const { mesh, losses } = await lost({ leaseLossGraceMs: 0 });
      await rig.pass(300_000);
      expect(losses.keys).toEqual([]);
      expect(state(mesh)?.['held-removals']).toBe(5);
      await losses[Symbol.asyncDispose]();
    });

    test('the next leader keeps it, too', async () => {
      const { remote, stop, losses } = await lost();
      await stop();
      const next = rig.start();
      await rig.pass(120_000);
      expect(await rig.copies()).toHaveLength(5);
      await remote.config();
      await remote.records();
      await remote.canaries();
      await rig.until(() => state(next.mesh)?.ready === true, 1000);
      expect(losses.keys).toEqual([]);
      await losses[Symbol.asyncDispose]();
    });

    test('a listing that begins meanwhile removes nothing either', async () => {
      const { remote, mesh, losses } = await lost();
      rig.cut();
      await rig.pass(5000);
      // The configuration is back, but not yet what it stands for; canaries of a life before are long gone.
      await remote.config({ syncedCanaries: true });
      rig.heal();
      await rig.pass(60_000);
      expect(losses.keys).toEqual([]);
      await remote.records();
      await remote.canaries();
      await rig.until(() => state(mesh)?.ready === true, 1000);
      expect(losses.keys).toEqual([]);
      await losses[Symbol.asyncDispose]();
    });
  });

  test('does not take the end of one lease of a living writer for deletions', async () => {
    const remote = rig.remote();
    await remote.config();
    await remote.beat();
    const lease = await remote.store.grantLease({ ttlSeconds: 900 });
    await remote.records(lease.id);
    await remote.canaries();
    const { mesh } = await copied();
    await using losses = await watchLosses(rig);
    await lease.revoke();
    await rig.until(() => (state(mesh)?.['held-removals'] ?? 0) > 0);
    // A node that is alone in its set is not told from one that has left, and is back at once.
    expect(losses.keys.filter((key) => !key.includes('/nodes/'))).toEqual([]);
    await remote.put('identities', '131073', 'labels');
    await remote.put('services', 'shop/web', 'service');
    await remote.put('ip', '10.2.1.5', 'ip 5');
    for (let minute = 0; minute < 3; minute++) {
      await rig.pass(60_000);
      await remote.beat();
    }
    expect(losses.keys.filter((key) => !key.includes('/nodes/'))).toEqual(['cilium/cache/ip/v1/west/10.2.1.6']);
    expect(state(mesh)).toMatchObject({ ready: true, stale: false });
  });

  test('takes many deletions in one revision for what they are, where their lease lives', async () => {
    const remote = rig.remote();
    await remote.config();
    await remote.beat();
    const lease = await remote.store.grantLease({ ttlSeconds: 900 });
    await remote.records(lease.id);
    await remote.canaries();
    const { mesh } = await copied();
    await using losses = await watchLosses(rig);
    const keys = ['cilium/state/ip/v1/default/10.2.1.5', 'cilium/state/ip/v1/default/10.2.1.6'];
    await remote.store.transact({ when: [], then: keys.map((key) => ({ type: 'delete', key })) });
    await rig.until(() => losses.keys.length === 2);
    expect(state(mesh)).toMatchObject({ ready: true, stale: false });
  });
});
