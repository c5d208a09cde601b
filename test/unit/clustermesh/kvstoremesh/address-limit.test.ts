import { afterEach, describe, expect, test } from '@jest/globals';
import { AddressLimit } from '../../../../clustermesh/kvstoremesh/address-limit.ts';
import { type CachedClusterStatus, type KvstoreMesh, kvstoreMeshMetrics } from '../../../../clustermesh/index.ts';
import { toBytes } from '../../../../kvstore/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { createMetrics } from '../../../../runtime/metrics/index.ts';
import { parsePrefix } from '../../../../values/ip/index.ts';
import { Rig } from './support.ts';

const limited = (...blocks: string[]): string => `allowedCIDRs: [${blocks.map((one) => `"${one}"`).join(', ')}]\n`;

describe('the addresses that a kvstoremesh copies', () => {
  let rig = new Rig();
  afterEach(async () => {
    await rig.stop();
    rig = new Rig();
  });
  const west = (mesh: KvstoreMesh): CachedClusterStatus | undefined => mesh.clusters()[0];
  const addresses = async (): Promise<string[]> =>
    Object.keys(await rig.held('cilium/cache/ip/')).map((key) => key.replace('cilium/cache/ip/v1/west/', ''));
  const others = async (): Promise<string[]> =>
    (await rig.copies()).filter((key) => !key.startsWith('cilium/cache/ip/'));
  const started = async (policy?: string) => {
    const { mesh, peers, stop } = rig.start([]);
    peers.add('west', 'first', policy);
    await rig.until(() => west(mesh)?.ready === true);
    const change = async (hash: string, text?: string): Promise<void> => {
      const connections = rig.links.length;
      peers.add('west', hash, text);
      await rig.until(() => rig.links.length > connections && west(mesh)?.ready === true);
    };
    return { mesh, peers, stop, change };
  };

  test('are all where nothing limits them', async () => {
    const remote = rig.remote();
    await remote.everything();
    await remote.put('ip', '192.0.2.1', 'far');
    await remote.put('ip', 'no address', 'odd');
    const { mesh } = await started('clusterID: 2\n');
    expect(await addresses()).toEqual(['10.2.1.5', '10.2.1.6', '192.0.2.1', 'no address']);
    expect(west(mesh)?.refused).toEqual({ total: 0, reasons: {}, keys: [] });
  });

  test('lie within allowedCIDRs, bit for bit as they were; the others are counted and named', async () => {
    const remote = rig.remote();
    await remote.everything();
    const binary = new Uint8Array([0, 255, 254, 10, 0]);
    await remote.put('ip', '10.2.1.7', binary);
    await remote.put('ip', '10.2.4.0/24', 'block');
    await remote.put('ip', 'fd00:10:2::5', 'v6');
    const outside = [
      '10.2.0.0/15',
      '10.3.0.1',
      '0.0.0.0/0',
      'fd00:10:3::5',
      '::ffff:192.0.2.1',
      'no address',
      '10.2.1.5/33',
    ];
    for (const key of outside) await remote.put('ip', key, 'outside');
    const { mesh } = await started(limited('10.2.0.0/16', 'fd00:10:2::/48'));
    expect(await addresses()).toEqual(['10.2.1.5', '10.2.1.6', '10.2.1.7', '10.2.4.0/24', 'fd00:10:2::5']);
    expect((await rig.look.get('cilium/cache/ip/v1/west/10.2.1.7'))?.value).toEqual(Buffer.from(binary));
    expect(await others()).toHaveLength(3);
    const refused = west(mesh)?.refused;
    expect(refused).toMatchObject({ total: outside.length, reasons: { 'not-allowed': outside.length } });
    expect(refused?.keys.map(({ key }) => key).toSorted()).toEqual(
      outside.map((key) => `cilium/cache/ip/v1/west/${key}`).toSorted(),
    );
    expect(refused?.keys).toContainEqual({
      kind: 'ip',
      key: 'cilium/cache/ip/v1/west/10.3.0.1',
      reason: 'IP must be within the allowedCIDRs of the peer (10.2.0.0/16, fd00:10:2::/48), found 10.3.0.1',
    });
  });

  test('and those that are refused are a metric by remote and reason, which goes with the remote', async () => {
    const remote = rig.remote();
    await remote.everything();
    await remote.put('ip', '10.3.0.1', 'outside');
    const { mesh, peers, change } = await started(limited('10.2.0.0/16'));
    const metrics = createMetrics({ prefix: 'isthmus_' });
    using _refresh = kvstoreMeshMetrics(metrics, mesh);
    const refused = async (): Promise<string[]> =>
      (await metrics.text()).split('\n').filter((line) => line.startsWith('isthmus_remote_cluster_refused_records{'));
    expect(await refused()).toEqual([
      'isthmus_remote_cluster_refused_records{target_cluster="west",reason="not-allowed"} 1',
      'isthmus_remote_cluster_refused_records{target_cluster="west",reason="store"} 0',
    ]);
    await change('wide', limited('10.0.0.0/8'));
    expect((await refused())[0]).toMatch(/"not-allowed"} 0$/);
    peers.remove('west');
    await rig.until(() => mesh.clusters().length === 0, 1_000);
    expect(await refused()).toEqual([]);
  });

  test('are judged as they come, and forgotten as they go', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { mesh } = await started(limited('10.2.0.0/16'));
    await remote.put('ip', '10.3.0.1', 'one');
    await remote.put('ip', '10.3.0.1', 'again');
    await remote.put('ip', '10.2.9.9', 'inside');
    await rig.until(async () => (await addresses()).includes('10.2.9.9'));
    expect(await addresses()).toEqual(['10.2.1.5', '10.2.1.6', '10.2.9.9']);
    expect(west(mesh)?.refused.total).toBe(1);
    await remote.delete('ip', '10.3.0.1');
    await remote.put('ip', '10.2.9.8', 'inside');
    await rig.until(async () => (await addresses()).includes('10.2.9.8'));
    expect(west(mesh)?.refused.total).toBe(0);
    // What goes while nobody looks is missing in the next listing.
    await remote.put('ip', '10.3.0.2', 'two');
    await rig.until(() => west(mesh)?.refused.total === 1);
    rig.cut();
    await rig.until(() => west(mesh)?.ready === false, 100);
    expect(west(mesh)?.refused.total).toBe(1);
    await remote.delete('ip', '10.3.0.2');
    rig.heal();
    await rig.until(() => west(mesh)?.ready === true, 100);
    expect(west(mesh)?.refused.total).toBe(0);
  });

  test('follow the limits as they change, and canaries stay', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { mesh, change } = await started();
    const before = await others();
    const canaries = Object.keys(await rig.held('cilium/synced/'));
    await change('narrow', limited('10.2.1.5/32'));
    expect(await addresses()).toEqual(['10.2.1.5']);
    expect(west(mesh)?.refused.reasons).toEqual({ 'not-allowed': 1 });
    await change('none', limited());
    expect(await addresses()).toEqual([]);
    expect(west(mesh)?.refused.total).toBe(2);
    await change('wide', limited('10.2.0.0/16'));
    expect(await addresses()).toEqual(['10.2.1.5', '10.2.1.6']);
    expect(west(mesh)?.refused.total).toBe(0);
    await remote.put('ip', '10.3.0.1', 'outside');
    await rig.until(() => west(mesh)?.refused.total === 1);
    await change('off');
    expect(await addresses()).toEqual(['10.2.1.5', '10.2.1.6', '10.3.0.1']);
    expect(west(mesh)?.refused.total).toBe(0);
    expect(await others()).toEqual(before);
    expect(Object.keys(await rig.held('cilium/synced/'))).toEqual(canaries);
  });

  test('go where they are no longer allowed while the remote is away, and those alone', async () => {
    await rig.remote().everything();
    const { mesh, peers } = await started();
    rig.cut();
    await rig.until(() => west(mesh)?.ready === false, 100);
    await rig.pass(60_000, false);
    expect(await addresses()).toEqual(['10.2.1.5', '10.2.1.6']);
    peers.add('west', 'narrow', limited('10.2.1.5/32'));
    await rig.until(async () => (await addresses()).length === 1, 100);
    expect(await addresses()).toEqual(['10.2.1.5']);
    expect(await others()).toHaveLength(3);
    expect(west(mesh)?.refused.total).toBe(1);
    rig.heal();
    await rig.until(() => west(mesh)?.ready === true, 1_000);
    expect(await addresses()).toEqual(['10.2.1.5']);
  });

  test('of an earlier life go, too, before the remote answers', async () => {
    await rig.remote().everything();
    const first = await started();
    await first.stop();
    rig.unreachable = true;
    const { peers } = rig.start([]);
    peers.add('west', 'narrow', limited('10.2.1.6/32'));
    await rig.until(async () => (await addresses()).length === 1, 100);
    expect(await addresses()).toEqual(['10.2.1.6']);
  });

  test.each(['', 'allowedCIDRs:\n', 'allowedCIDRs: 10.2.0.0/16\n', 'allowed: []\n', '['])(
    'stay within the last limits while these cannot be read: %j',
    async (text) => {
      const remote = rig.remote();
      await remote.everything();
      await remote.put('ip', '10.3.0.1', 'outside');
      const { mesh, peers, change } = await started(limited('10.2.0.0/16'));
      peers.add('west', 'unreadable', text);
      await rig.until(() => west(mesh)?.failure?.includes('west.isthmus.yaml') === true, 100);
      await rig.pass(60_000);
      expect(await addresses()).toEqual(['10.2.1.5', '10.2.1.6']);
      expect(west(mesh)).toMatchObject({ ready: false, refused: { total: 1 } });
      await change('mended', limited('10.2.1.5/32'));
      expect(await addresses()).toEqual(['10.2.1.5']);
    },
  );
});

test('addresses that are refused are logged by name a hundred times, and counted for ever', () => {
  const lines: unknown[] = [];
  const limit = new AddressLimit({ ...silentLogger, warn: (...line: unknown[]) => lines.push(line) });
  limit.allow([parsePrefix('10.2.0.0/16')]);
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 300; i++) expect(limit.refuses(toBytes(`10.3.${i >> 8}.${i & 255}`))).toBe(true);
  expect(limit.size).toBe(300);
  expect(lines).toHaveLength(101);
  expect(limit.first(20)).toHaveLength(20);
});
