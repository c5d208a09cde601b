import { afterEach, describe, expect, test } from '@jest/globals';
import { clusterConfigKey, decodeCopyReport, decodeTime, syncedKey } from '../../../../clustermesh/index.ts';
import { Rig, resources } from './support.ts';

const prefix = 'isthmus/v1/kvstoremesh/';

describe('what a kvstoremesh says of its copies', () => {
  let rig = new Rig();
  afterEach(async () => {
    await rig.stop();
    rig = new Rig();
  });
  const report = async (name = 'west') => {
    const entry = await rig.look.get(`${prefix}remotes/${name}`);
    return entry && decodeCopyReport(name, entry.value);
  };
  const alive = async (): Promise<number> => {
    const entry = await rig.look.get(`${prefix}alive`);
    return decodeTime(Buffer.from(entry?.value ?? []).toString()) ?? 0;
  };
  const reported = async (names = ['west']) => {
    for (const [i, name] of names.entries()) await rig.remote(name, i + 2).everything();
    const started = rig.start(names);
    await rig.until(async () => (await alive()) > 0, 100);
    return started;
  };

  test('it says that a cluster is copied, in a few bytes and once', async () => {
    await reported();
    expect(await rig.held(`${prefix}remotes/`)).toEqual({
      [`${prefix}remotes/west`]: '{"connected":true,"synced":true}',
    });
    const before = (await rig.look.get(`${prefix}remotes/west`))?.modRevision;
    await rig.pass(600_000);
    expect((await rig.look.get(`${prefix}remotes/west`))?.modRevision).toBe(before);
    expect((await rig.look.get(`${prefix}remotes/west`))?.lease).toBe(0n);
  });

  test('that it reports at all is said every half minute, until it is gone', async () => {
    const { stop } = await reported();
    const first = await alive();
    await rig.pass(60_000);
    const second = await alive();
    expect(second).toBeGreaterThan(first);
    await stop();
    await rig.pass(600_000);
    expect(await alive()).toBeLessThan(second + 60_000);
  });

  test('it names why a cluster is not connected, and takes it back', async () => {
    await reported();
    rig.cut();
    await rig.until(async () => (await report())?.connected === false, 500);
    expect(await report()).toMatchObject({
      connected: false,
      synced: false,
      failure: expect.stringMatching(/cut|Nobody/),
    });
    rig.heal();
    await rig.until(async () => (await report())?.synced === true, 500);
    const healed = await report();
    expect(healed).toMatchObject({ connected: true, stale: false });
    expect(healed?.failure).toBeUndefined();
    expect(healed?.failures).toBeGreaterThan(0);
  });

  test('of a writer that is silent it says since when, and that once', async () => {
    await reported();
    const heardMs = rig.clock.now();
    await rig.pass(200_000, false);
    const silent = await report();
    expect(silent).toMatchObject({ stale: true });
    expect(Math.abs((silent?.lastHeartbeatMs ?? 0) - heardMs)).toBeLessThan(60_000);
    const { lastHeartbeatMs } = silent ?? {};
    await rig.pass(100_000, false);
    expect((await report())?.lastHeartbeatMs).toBe(lastHeartbeatMs);
  });

  test('a cluster that is no longer configured has no report', async () => {
    const { peers } = await reported(['west', 'north']);
    expect(await report('north')).toBeDefined();
    peers.remove('north');
    await rig.until(async () => (await report('north')) === undefined, 500);
    expect(await report('west')).toMatchObject({ connected: true });
  });

  test('the next leader leaves what is true, removes what nobody copies, and puts right what others did', async () => {
    const { stop } = await reported();
    const before = (await rig.look.get(`${prefix}remotes/west`))?.modRevision;
    await stop();
    await rig.look.put(`${prefix}remotes/south`, '{"connected":true}');
    rig.start(['west']);
    await rig.until(async () => (await report('south')) === undefined, 500);
    expect((await rig.look.get(`${prefix}remotes/west`))?.modRevision).toBe(before);
    await rig.look.delete(`${prefix}remotes/west`);
    await rig.pass(330_000);
    expect(await report()).toMatchObject({ connected: true });
  });

  test('a standby says nothing', async () => {
    await reported();
    const second = rig.start(['west'], {});
    await rig.pass(60_000);
    expect(second.mesh.leader).toBe(false);
    expect(await report()).toMatchObject({ connected: true });
  });
});

describe('a store that Cilium’s kvstoremesh has filled', () => {
  const rig = new Rig();
  afterEach(async () => await rig.stop());

  test('loses nothing when the lease of that ends', async () => {
    const remote = rig.remote();
    await remote.everything();
    const first = rig.start();
    await rig.until(() => first.mesh.ready);
    await first.stop();
    // The same keys and values, under a lease.
    const lease = await rig.look.grantLease({ ttlSeconds: 900 });
    const everything = await rig.held();
    for (const [key, value] of Object.entries(everything)) await rig.look.put(key, value, { lease: lease.id });
    const second = rig.start();
    await rig.until(() => second.mesh.ready);
    await lease.revoke();
    await rig.clock.advance(10);
    const left = await rig.held();
    expect(Object.keys(left)).toEqual(Object.keys(everything));
    expect(Object.keys(left)).toContain(clusterConfigKey('west'));
    for (const resource of resources) expect(Object.keys(left)).toContain(syncedKey('west', resource, 'cache'));
  });
});
