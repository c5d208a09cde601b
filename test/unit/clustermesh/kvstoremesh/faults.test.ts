import { afterEach, describe, expect, test } from '@jest/globals';
import { leaderLock } from '../../../../clustermesh/index.ts';
import type { WatchBatch } from '../../../../kvstore/index.ts';
import { toText } from '../../../../kvstore/index.ts';
import { Link, Rig } from './support.ts';
import { type Copied, startCopied, state, watchLosses } from './trouble.ts';

describe('kvstoremesh in trouble', () => {
  let rig = new Rig();
  afterEach(async () => {
    await rig.stop();
    rig = new Rig();
  });
  const copied: Copied = (...wish) => startCopied(rig, ...wish);

  test('removes nothing while a remote is cut off for ten minutes, and equals it again afterwards', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { mesh } = await copied();
    await using losses = await watchLosses(rig);
    const before = await rig.held();
    rig.cut();
    await remote.delete('ip', '10.2.1.6');
    await remote.put('ip', '10.2.1.7', 'new');
    await rig.pass(600_000);
    expect(await rig.held()).toEqual(before);
    expect(state(mesh)).toMatchObject({ ready: false, connected: false, failure: 'Nobody answers' });
    rig.heal();
    await rig.until(() => state(mesh)?.ready === true, 1000);
    expect(await rig.held('cilium/cache/ip/')).toEqual({
      'cilium/cache/ip/v1/west/10.2.1.5': 'ip 5',
      'cilium/cache/ip/v1/west/10.2.1.7': 'new',
    });
    expect(losses.keys).toEqual(['cilium/cache/ip/v1/west/10.2.1.6']);
  });

  test.each([{ id: 2 }, { id: 7 }])(
    'keeps what it has of a remote that begins anew with id $id, until that is complete',
    async ({ id }) => {
      const remote = rig.remote();
      await remote.everything();
      const { mesh } = await copied();
      const before = await rig.copies();
      rig.cut();
      remote.wipe();
      await remote.config({ id });
      await remote.beat();
      await remote.put('ip', '10.2.1.5', 'ip 5');
      rig.heal();
      await rig.until(() => state(mesh)?.config['cluster-id'] === id, 1000);
      await rig.pass(60_000);
      expect(await rig.copies()).toEqual(before);
      const canaries = Object.keys(await rig.held('cilium/synced/west/'));
      // Under another id nothing of what is there may be taken for complete.
      expect(canaries).toHaveLength(id === 2 ? 6 : 1);
      await remote.canaries();
      await rig.until(() => state(mesh)?.ready === true, 1000);
      expect(await rig.copies()).toEqual(['cilium/cache/ip/v1/west/10.2.1.5']);
      expect(Object.keys(await rig.held('cilium/synced/west/'))).toHaveLength(6);
    },
  );

  test('counts what an earlier leader has copied, also of a remote that does not answer', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { stop } = await copied();
    await stop();
    rig.cut();
    const { mesh } = rig.start(['west']);
    await rig.until(() => state(mesh)?.failure !== undefined, 1000);
    expect(state(mesh)).toMatchObject({ ready: false, loading: true, 'num-endpoints': 0 });
    await rig.until(() => state(mesh)?.loading === undefined, 1000);
    expect(state(mesh)).toMatchObject({ ready: false, connected: false, 'num-nodes': 1, 'num-endpoints': 2 });
    rig.heal();
    await rig.until(() => state(mesh)?.ready === true, 1000);
    expect(await rig.copies()).toHaveLength(5);
  });

  test('says which canaries a remote is waited for', async () => {
    const remote = rig.remote();
    await remote.config();
    await remote.beat();
    const { mesh } = rig.start(['west']);
    await rig.until(() => state(mesh)?.config.retrieved === true);
    expect(state(mesh)).toMatchObject({
      ready: false,
      failure: expect.stringMatching(/^Waiting for the canaries of nodes, .*endpoints.*: west has not marked/),
    });
    await remote.canaries();
    await rig.until(() => state(mesh)?.ready === true);
    expect(state(mesh)?.failure).toBeUndefined();
  });

  test('tells a remote whose writer is dead as stale, never as ready, and keeps everything', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { mesh } = await copied();
    await rig.clock.advance(121_000);
    expect(state(mesh)).toMatchObject({ ready: false, stale: true });
    await rig.until(() => state(mesh)?.connected === true && state(mesh)?.synced.nodes === true, 1000);
    expect(state(mesh)).toMatchObject({
      failure: expect.stringMatching(/^No heartbeat for \d+ seconds$/),
      hint: expect.stringContaining('apiserver does not run'),
    });
    for (let minute = 0; minute < 20; minute++) {
      await rig.clock.advance(60_000);
      expect(state(mesh)).toMatchObject({ ready: false, stale: true });
    }
    expect(await rig.copies()).toHaveLength(5);
    await remote.beat();
    await rig.until(() => state(mesh)?.ready === true, 1000);
  });

  test('does not call a remote stale that has never had a configuration under its name', async () => {
    await rig.remote().beat();
    const { mesh } = rig.start();
    await rig.pass(10_000);
    expect(state(mesh)).toMatchObject({
      ready: false,
      stale: false,
      failure: 'The remote store has no cluster configuration for west',
      hint: 'The file name must be the name that the remote cluster gives itself; its apiserver must run',
    });
  });

  test('the suite sees a reflector that removes before a listing is complete', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { stop } = await copied();
    await stop();
    await using losses = await watchLosses(rig);
    // The seeded defect: what says "complete" comes before what is complete.
    rig.spoil = hasty;
    const { mesh } = rig.start();
    await rig.until(() => state(mesh)?.ready === true);
    expect(losses.keys.length).toBeGreaterThan(0);
  });

  test('holds writes back while the local store is gone for ten minutes, and loses none', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { mesh } = await copied();
    rig.localLink.failing = true;
    await remote.put('ip', '10.2.1.7', 'new');
    await remote.delete('ip', '10.2.1.5');
    await rig.pass(600_000);
    expect(await rig.copies()).toHaveLength(5);
    rig.localLink.failing = false;
    await rig.until(async () => !(await rig.copies()).join().includes('10.2.1.5'), 1000);
    expect(await rig.held('cilium/cache/ip/')).toEqual({
      'cilium/cache/ip/v1/west/10.2.1.6': 'ip 6',
      'cilium/cache/ip/v1/west/10.2.1.7': 'new',
    });
    await rig.until(() => state(mesh)?.ready === true, 1000);
  });

  test('of two leaders that were forced at once only the one with the lock writes', async () => {
    const remote = rig.remote();
    await remote.everything();
    const first = await copied();
    const second = rig.start(['west'], {}, new Link(rig.local, rig.clock));
    await rig.pass(5000);
    expect([first.mesh.leader, second.mesh.leader]).toEqual([true, false]);
    await rig.look.delete(await lockOfLeader(rig));
    await rig.until(() => second.mesh.leader);
    // The first does not know yet; what it tries to write must come to nothing.
    expect(first.mesh.leader).toBe(true);
    await remote.put('ip', '10.2.1.5', 'after the change of leaders');
    await rig.until(() => !first.mesh.leader);
    await rig.until(() => state(second.mesh)?.ready === true, 100);
    expect((await rig.held())['cilium/cache/ip/v1/west/10.2.1.5']).toBe('after the change of leaders');
    await rig.pass(30_000);
    expect([first.mesh.leader, second.mesh.leader]).toEqual([false, true]);
    await second.stop();
    await rig.until(() => first.mesh.leader, 1000);
  });

  test('takes services out of the cache when a remote is away for too long, where asked to', async () => {
    await rig.remote().everything();
    const { mesh } = await copied(['west'], { cacheTtlMs: 120_000 });
    rig.cut();
    await rig.pass(110_000);
    expect(await rig.copies()).toHaveLength(5);
    await rig.pass(30_000);
    expect((await rig.copies()).filter((key) => key.includes('/services/'))).toEqual([]);
    expect(await rig.copies()).toHaveLength(4);
    expect(state(mesh)).toMatchObject({ 'cache-revocations': 1 });
    rig.heal();
    await rig.until(async () => (await rig.copies()).length === 5, 1000);
  });

  describe('is ready', () => {
    test('once every cluster is copied that was configured at the start', async () => {
      const remote = rig.remote();
      await remote.config();
      await remote.beat();
      const { mesh } = rig.start();
      await rig.pass(60_000);
      expect(mesh.status()).toMatchObject({ ready: false, waitingFor: ['cluster west (being copied)'] });
      await remote.canaries();
      await rig.until(() => mesh.ready);
      expect(mesh.bootstrapSeconds).toBeGreaterThanOrEqual(60);
    });

    test('without a cluster that does not connect within 15 seconds', async () => {
      rig.unreachable = true;
      const { mesh } = rig.start();
      await rig.pass(14_000);
      expect(mesh.status()).toMatchObject({ ready: false, waitingFor: ['cluster west (no connection)'] });
      await rig.pass(2000);
      expect(mesh.ready).toBe(true);
    });

    test('after ten minutes in any case', async () => {
      const remote = rig.remote();
      await remote.config();
      await remote.beat();
      const { mesh } = rig.start();
      await rig.pass(590_000);
      expect(mesh.ready).toBe(false);
      await rig.pass(11_000);
      expect(mesh.ready).toBe(true);
    });

    test('as a standby after ten seconds', async () => {
      await rig.remote().everything();
      await copied();
      const { mesh } = rig.start();
      await rig.pass(9000);
      expect(mesh.ready).toBe(false);
      await rig.pass(2000);
      expect({ ready: mesh.ready, leader: mesh.leader }).toEqual({ ready: true, leader: false });
    });
  });

  test('a hundred remotes that come back at once are listed a few at a time, and all are copied', async () => {
    const names = Array.from({ length: 100 }, (_, i) => `c${i}`);
    for (const [i, name] of names.entries()) await rig.remote(name, i + 2).everything();
    let listing = 0;
    let most = 0;
    rig.spoil = async function* (batches, prefix) {
      const counts = prefix.startsWith('cilium/state/');
      for await (const batch of batches) {
        if (counts && batch.type === 'restart') most = Math.max(most, ++listing);
        if (counts && batch.type === 'synced') listing--;
        yield batch;
      }
    };
    const { mesh } = rig.start(names);
    const ready = (): boolean => mesh.clusters().filter((one) => one.ready).length === names.length;
    await rig.until(ready, 1000);
    rig.cut();
    await rig.pass(20_000, false);
    rig.heal();
    await rig.until(ready, 1000);
    expect(most).toBeLessThanOrEqual(16);
    expect(await rig.copies()).toHaveLength(100 * 5);
  });
});

/** Says that a listing is complete as soon as it has begun. */
async function* hasty(batches: AsyncIterable<WatchBatch>): AsyncGenerator<WatchBatch, void, void> {
  for await (const batch of batches) {
    yield batch;
    if (batch.type === 'restart') yield { type: 'synced', revision: Number.MAX_SAFE_INTEGER };
  }
}

/** The oldest candidate holds the lock. */
async function lockOfLeader(rig: Rig): Promise<string> {
  const found: { readonly key: string; readonly createRevision: number }[] = [];
  for await (const { entries } of rig.look.list(leaderLock))
    for (const { key, createRevision } of entries) found.push({ key: toText(key), createRevision });
  return found.toSorted((a, b) => a.createRevision - b.createRevision)[0]?.key ?? '';
}
