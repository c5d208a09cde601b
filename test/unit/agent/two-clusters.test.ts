import { stat, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ipKey } from '../../../clustermesh/index.ts';
import {
  EngineStore,
  MemoryEngine,
  PermissionDeniedError,
  type Store,
  type Transaction,
  toText,
} from '../../../kvstore/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { linkTo } from '../clustermesh/remote/support.ts';
import { TestCluster, TestNode, removeDirectory, temporaryDirectory, until } from './support.ts';

/** `10.1.1.5/32 65537 via 192.168.2.1 key 0`, sorted: what a node's ipcache map holds. */
async function ipcache(node: TestNode): Promise<string[]> {
  const rows = (await node.map('map isthmus_ipcache ')).map((line) => line.split(' '));
  return rows
    .map(([, , key = '', , value = '']) => {
      const k = Buffer.from(key, 'hex');
      const v = Buffer.from(value, 'hex');
      const tunnel = v.readUInt32LE(4) === 0 ? '' : ` via ${v.subarray(4, 8).join('.')}`;
      const remote = (v[23] ?? 0) & 8 ? ' remote' : '';
      return `${k.subarray(8, 12).join('.')}/${k.readUInt32LE(0) - 32} is ${v.readUInt32LE(0)}${tunnel}${remote}`;
    })
    .toSorted();
}

/** Backend addresses in a node's map. */
async function backends(node: TestNode): Promise<string[]> {
  const rows = await node.map('map isthmus_lb4_be ');
  return rows
    .map((line) =>
      Buffer.from(line.split(' ')[4] ?? '', 'hex')
        .subarray(0, 4)
        .join('.'),
    )
    .toSorted();
}

describe('agents of two clusters', () => {
  let clock: VirtualClock;
  let directory: string;
  let east: TestCluster;
  let west: TestCluster;
  let nodes: TestNode[];
  let cutFrom: Set<string>;
  let e1: TestNode;
  let w1: TestNode;

  const node = (cluster: TestCluster, name: string, ip: string): TestNode =>
    new TestNode(cluster, name, ip, `${directory}/${name}`, (peer) =>
      cutFrom.has(cluster.name) ? undefined : (peer === 'east' ? east : west).engine,
    );
  const synced = (): boolean => nodes.every((one) => one.status().ready && one.status().waitingFor.length === 0);
  const settled = async (holds: () => boolean | Promise<boolean>): Promise<void> => await until(clock, holds);

  beforeEach(async () => {
    clock = new VirtualClock();
    directory = await temporaryDirectory();
    cutFrom = new Set();
    east = new TestCluster('east', 1, clock);
    west = new TestCluster('west', 2, clock);
    await east.begin({ e1: '10.1.1.0/24', e2: '10.1.2.0/24' });
    await west.begin({ w1: '10.2.1.0/24', w2: '10.2.2.0/24' });
    e1 = node(east, 'e1', '192.168.1.1');
    w1 = node(west, 'w1', '192.168.2.1');
    nodes = [e1, node(east, 'e2', '192.168.1.2'), w1, node(west, 'w2', '192.168.2.2')];
    await east.service('web', '10.96.0.1', ['10.1.1.5'], true);
    await west.service('web', '10.97.0.1', ['10.2.1.5', '10.2.2.5'], true);
    await west.service('private', '10.97.0.2', ['10.2.2.5'], false);
    await east.workload('e1', 'a', 65_537);
    await east.workload('e2', 'b', 65_538);
    await west.workload('w1', 'c', 131_073);
    await west.workload('w2', 'd', 131_074);
    for (const one of nodes) await one.prepare();
    for (const one of nodes) await one.start(one.cluster === east ? ['west', 'east'] : ['east', 'west']);
    await e1.pod('a', '10.1.1.5');
    await nodes[1]?.pod('b', '10.1.2.5');
    await w1.pod('c', '10.2.1.5');
    await nodes[3]?.pod('d', '10.2.2.5');
    await east.canariesAfter(2);
    await west.canariesAfter(2);
    await settled(synced);
  });
  afterEach(async () => {
    for (const one of nodes) await one.stop();
    await removeDirectory(directory);
  });

  // The own pod CIDR leads to the node itself, which drops what no pod has.
  const ofE1 = [
    '10.1.1.0/24 is 2 via 192.168.1.1',
    '10.1.1.5/32 is 65537',
    '10.1.2.0/24 is 2 via 192.168.1.2',
    '10.1.2.5/32 is 65538 via 192.168.1.2',
    '10.2.1.0/24 is 2 via 192.168.2.1',
    '10.2.1.5/32 is 131073 via 192.168.2.1',
    '10.2.2.0/24 is 2 via 192.168.2.2',
    '10.2.2.5/32 is 131074 via 192.168.2.2',
    '192.168.1.1/32 is 1',
    '192.168.1.2/32 is 6 via 192.168.1.2',
    '192.168.2.1/32 is 6 via 192.168.2.1 remote',
    '192.168.2.2/32 is 6 via 192.168.2.2 remote',
  ];

  test('hold in their kernels who is where, and who answers', async () => {
    expect(await ipcache(e1)).toEqual(ofE1);
    expect(await ipcache(w1)).toEqual([
      '10.1.1.0/24 is 2 via 192.168.1.1',
      '10.1.1.5/32 is 65537 via 192.168.1.1',
      '10.1.2.0/24 is 2 via 192.168.1.2',
      '10.1.2.5/32 is 65538 via 192.168.1.2',
      '10.2.1.0/24 is 2 via 192.168.2.1',
      '10.2.1.5/32 is 131073',
      '10.2.2.0/24 is 2 via 192.168.2.2',
      '10.2.2.5/32 is 131074 via 192.168.2.2',
      '192.168.1.1/32 is 6 via 192.168.1.1 remote',
      '192.168.1.2/32 is 6 via 192.168.1.2 remote',
      '192.168.2.1/32 is 1',
      '192.168.2.2/32 is 6 via 192.168.2.2',
    ]);
    for (const one of nodes) expect(await backends(one)).toEqual(['10.1.1.5', '10.2.1.5', '10.2.2.5']);
    expect((await e1.kernel.describe()).match(/^route 10\..*/gm)).toEqual([
      'route 10.1.2.0/24 via 169.254.2.1 dev isth0 proto 105 src 192.168.1.1 mtu 1450',
      'route 10.2.1.0/24 via 169.254.2.1 dev isth0 proto 105 src 192.168.1.1 mtu 1450',
      'route 10.2.2.0/24 via 169.254.2.1 dev isth0 proto 105 src 192.168.1.1 mtu 1450',
    ]);
    expect(e1.status().clusters.map(({ name, ready }) => [name, ready])).toEqual([['west', true]]);
  });

  test('show their state as metrics, and that of a removed cluster no more', async () => {
    const lines = async (): Promise<string[]> =>
      (await e1.metrics.text())
        .split('\n')
        .filter((line) => /^isthmus_(clustermesh|agent_ready|kvstore_initial|drop|forward)/.test(line));
    expect(await lines()).toEqual(
      expect.arrayContaining([
        'isthmus_clustermesh_remote_clusters 1',
        'isthmus_clustermesh_remote_cluster_readiness_status{target_cluster="west"} 1',
        'isthmus_clustermesh_remote_cluster_nodes{target_cluster="west"} 2',
        'isthmus_clustermesh_remote_cluster_endpoints{target_cluster="west"} 2',
        'isthmus_clustermesh_remote_cluster_failures{target_cluster="west"} 0',
        'isthmus_kvstore_initial_sync_completed{scope="ip/v1",source_cluster="west",action="read"} 1',
        'isthmus_agent_ready 1',
        'isthmus_drop_packets_total{reason="no backend"} 0',
        'isthmus_drop_bytes_total{reason="spoofed source"} 0',
        'isthmus_forward_packets_total{event="to overlay"} 0',
        'isthmus_forward_bytes_total{event="to overlay"} 0',
      ]),
    );
    await removeDirectory(`${directory}/e1/mesh/west`);
    await settled(() => e1.status().clusters.length === 0);
    expect((await lines()).filter((line) => line.includes('west'))).toEqual([]);
  });

  test('count a remote store that falls silent although it is connected', async () => {
    const silent = async (): Promise<string[]> =>
      (await e1.metrics.text()).split('\n').filter((line) => line.includes('kvstore_quorum_errors_total{'));
    expect(await silent()).toEqual([]);
    await until(clock, async () => (await silent()).length > 0, 1000);
    expect(await silent()).toEqual([
      expect.stringMatching(/^isthmus_kvstore_quorum_errors_total\{error="no event received"\} [1-9]/),
    ]);
  });

  test('show how full the maps of their datapath are', async () => {
    const pressure = async (): Promise<Record<string, number>> =>
      Object.fromEntries(
        (await e1.metrics.text())
          .split('\n')
          .flatMap((line) => [...line.matchAll(/^isthmus_bpf_map_pressure\{map_name="(\w+)"\} (\S+)$/g)])
          .map(([, name = '', value = '']) => [name, Number(value)]),
      );
    const before = await pressure();
    expect(before).toMatchObject({ ipcache: ofE1.length / 512_000, lxc: 2 / 65_535, lb4_be: 3 / 65_536, nat4: 0 });
    expect(Object.keys(before)).not.toContain('drops');
    await e1.pod('z', '10.1.1.9');
    await settled(async () => (await ipcache(e1)).length > ofE1.length);
    // Read at most once a minute.
    expect(await pressure()).toEqual(before);
    await clock.advance(61_000);
    expect((await pressure())['lxc']).toBe(3 / 65_535);
  });

  test('that are cut from another cluster lose nothing of it, follow their own, and catch up when healed', async () => {
    cutFrom.add('east');
    for (const one of nodes.slice(0, 2)) for (const link of one.links.splice(0)) link.cut();
    await settled(() => e1.status().clusters[0]?.connected === false);
    await west.store.delete(ipKey('10.2.2.5'));
    await west.service('web', '10.97.0.1', ['10.2.1.5'], true);
    await east.service('web', '10.96.0.1', ['10.1.1.5', '10.1.2.5'], true);
    await settled(async () => (await backends(e1)).length === 4);
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.1.2.5', '10.2.1.5', '10.2.2.5']);
    expect(await ipcache(e1)).toEqual(ofE1);
    expect(e1.status().clusters[0]).toMatchObject({ ready: false, known: true, 'num-endpoints': 2 });

    cutFrom.clear();
    await settled(() => nodes.every((one) => one.status().clusters.every(({ ready }) => ready)));
    await settled(async () => (await ipcache(e1)).length === ofE1.length - 1);
    expect(await ipcache(e1)).toEqual(ofE1.filter((line) => !line.startsWith('10.2.2.5')));
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.1.2.5', '10.2.1.5']);
  });

  test('that are restarted find the kernel as it must be and write nothing', async () => {
    await settled(() => e1.status().tables.every(({ lastAudit }) => lastAudit?.pruned === true));
    const before = await e1.kernel.describe();
    const endpoints = await e1.call('GET', '/v1/endpoints');
    await e1.stop();
    expect(await e1.kernel.describe()).toBe(before);
    await e1.start(['west', 'east']);
    expect(await e1.call('GET', '/v1/endpoints')).toEqual(endpoints);
    await settled(() => e1.status().tables.every(({ lastAudit }) => lastAudit?.pruned === true));
    for (const table of e1.status().tables)
      expect(table).toMatchObject({ upserts: 0, removes: 0, lastAudit: { written: 0, removed: 0 } });
    expect(await e1.kernel.describe()).toBe(before);
  });

  const pruned = async (): Promise<void> =>
    await settled(() => e1.status().tables.every(({ lastAudit }) => lastAudit?.pruned === true));
  const remembered = (): string => `${directory}/e1/state/remote-clusters/west.jsonl`;
  const restartWhileCut = async (): Promise<void> => {
    await e1.stop();
    cutFrom.add('east');
    await e1.start(['west', 'east']);
  };

  test('that are restarted while another cluster is cut go on as before, and lose only what had really gone', async () => {
    await pruned();
    const before = await e1.kernel.describe();
    await restartWhileCut();
    await settled(() => e1.status().clusters[0]?.restored !== undefined);
    expect(e1.status().clusters[0]).toMatchObject({
      ready: false,
      connected: false,
      known: false,
      'num-nodes': 2,
      'num-endpoints': 2,
      'num-shared-services': 1,
      restored: { records: 7, 'left-out': [] },
      status: expect.stringMatching(/^Not read yet, served from what was remembered \d+ s ago$/),
    });
    await settled(() => e1.status().waitingFor.join() === 'cluster west (no connection)');
    expect(e1.agent?.readiness().ready).toBe(false);
    await until(clock, () => e1.status().ready, 1000);
    for (let i = 0; i < 20; i++) await clock.advance(30_000);
    // Long after the time for reading other clusters is over.
    expect(await e1.kernel.describe()).toBe(before);
    expect(e1.status().clusters[0]).toMatchObject({ ready: false, stale: true });
    // What changes in the own cluster is followed all the same, and does not push the other's backends out.
    await east.service('web', '10.96.0.1', ['10.1.1.5', '10.1.2.5'], true);
    await settled(async () => (await backends(e1)).includes('10.1.2.5'));
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.1.2.5', '10.2.1.5', '10.2.2.5']);

    await west.store.delete(ipKey('10.2.2.5'));
    await west.service('web', '10.97.0.1', ['10.2.1.5'], true);
    await west.heartbeat();
    cutFrom.clear();
    await pruned();
    expect(await ipcache(e1)).toEqual(ofE1.filter((line) => !line.startsWith('10.2.2.5')));
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.1.2.5', '10.2.1.5']);
    expect(e1.status().clusters[0]).not.toHaveProperty('restored');
    expect(e1.status().clusters[0]).toMatchObject({ ready: true, known: true, stale: false });
  });

  test('that are restarted while another cluster is cut follow their own cluster at once', async () => {
    await pruned();
    await restartWhileCut();
    await east.workload('e2', 'new', 65_539);
    await nodes[1]?.pod('new', '10.1.2.9');
    await settled(async () => (await ipcache(e1)).some((line) => line.startsWith('10.1.2.9/32')));
    expect(e1.agent?.readiness().ready).toBe(false);
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.2.1.5', '10.2.2.5']);
  });

  test('that lose their own store are not ready and name it, and leave the kernel as it is', async () => {
    await pruned();
    const link = linkTo(east.engine, clock);
    east.store = link.store;
    await e1.stop();
    await e1.start(['west', 'east']);
    await settled(() => e1.status().ready && e1.status().waitingFor.length === 0);
    await pruned();
    const before = await e1.kernel.describe();
    link.cut();
    expect(e1.agent?.readiness()).toEqual({ ready: false, waitingFor: ['connection to own store memory'] });
    expect(e1.status()).toMatchObject({ ready: false, waitingFor: ['connection to own store memory'] });
    expect(e1.status().clusters.map(({ ready }) => ready)).toEqual([true]);
    await clock.advance(30_000);
    expect(await e1.kernel.describe()).toBe(before);
  });

  test('whose own store answers and refuses are not ready either, and say what it said', async () => {
    await pruned();
    const link = linkTo(east.engine, clock);
    east.store = link.store;
    await e1.stop();
    await e1.start(['west', 'east']);
    await settled(() => e1.status().ready && e1.status().waitingFor.length === 0);
    link.refuse();
    await clock.advance(30_000);
    const waitingFor = ['own store memory, which is not followed: ACL not found'];
    expect(e1.agent?.readiness()).toEqual({ ready: false, waitingFor });
    expect(e1.status()).toMatchObject({ ready: false, waitingFor, store: { connected: true } });
  });

  test('that their own store does not let register are not ready, until it does', async () => {
    await pruned();
    let refusing = false;
    const store = new EngineStore(east.engine, { clock, endpoint: 'memory' });
    const registers = ({ then }: Transaction): boolean =>
      then.some(({ key }) => String(key) === 'cilium/state/nodes/v1/east/e1');
    const transact: Store['transact'] = async (transaction, options) => {
      if (refusing && registers(transaction)) throw new PermissionDeniedError('permission denied');
      return await store.transact(transaction, options);
    };
    east.store = new Proxy<Store>(store, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        return name === 'transact' ? transact : typeof member === 'function' ? member.bind(target) : member;
      },
    });
    await e1.stop();
    await e1.start(['west', 'east']);
    await settled(() => e1.status().ready && e1.status().waitingFor.length === 0);
    refusing = true;
    // Somebody deletes it, which the agent finds when it compares its keys, every five minutes.
    await store.delete('cilium/state/nodes/v1/east/e1');
    await clock.advance(300_000);
    const waitingFor = ['registration of node e1, which the own store refuses: permission denied'];
    await settled(() => !e1.status().ready);
    expect(e1.agent?.readiness()).toEqual({ ready: false, waitingFor });
    refusing = false;
    await clock.advance(15_000);
    await settled(() => e1.status().ready);
  });

  test('that find what they remembered damaged leave global services alone until the cluster was read', async () => {
    await pruned();
    await e1.stop();
    await writeFile(remembered(), 'garbage\n');
    cutFrom.add('east');
    await e1.start(['west', 'east']);
    await until(clock, () => e1.status().ready, 1000);
    await east.service('web', '10.96.0.1', ['10.1.1.5', '10.1.2.5'], true);
    await east.service('local', '10.96.0.2', ['10.1.2.7'], false);
    await settled(async () => (await backends(e1)).includes('10.1.2.7'));
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.1.2.7', '10.2.1.5', '10.2.2.5']);
    expect(e1.status().clusters[0]).toMatchObject({ ready: false, lost: 'a line of it is no JSON' });
    expect((await ipcache(e1)).filter((line) => line.startsWith('10.2.'))).toHaveLength(4);
    await west.service('web', '10.97.0.1', ['10.2.1.5'], true);
    cutFrom.clear();
    await pruned();
    await settled(async () => !(await backends(e1)).includes('10.2.2.5'));
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.1.2.5', '10.1.2.7', '10.2.1.5']);
  });

  test('withdraw and forget a cluster whose configuration was removed while they were down', async () => {
    await pruned();
    await e1.stop();
    expect((await stat(remembered())).mode & 0o777).toBe(0o600);
    await removeDirectory(`${directory}/e1/mesh/west`);
    await e1.start(['east']);
    await pruned();
    expect(await ipcache(e1)).toEqual(ofE1.filter((line) => !line.startsWith('10.2.') && !line.includes('remote')));
    expect(await backends(e1)).toEqual(['10.1.1.5']);
    await expect(stat(remembered())).rejects.toThrow('ENOENT');
  });

  test('remove a pod everywhere when its endpoint is removed', async () => {
    expect(await e1.call('DELETE', '/v1/endpoints/shop/a')).toEqual({ removed: true });
    expect(await e1.call('DELETE', '/v1/endpoints/shop/a')).toEqual({ removed: false });
    await settled(async () => {
      const all = await Promise.all(nodes.map((one) => ipcache(one)));
      return all.every((lines) => !lines.some((line) => line.startsWith('10.1.1.5/32')));
    });
    expect(await e1.map('program from_pod')).toEqual([]);
    expect((await e1.map('map isthmus_lxc ')).length).toBe(1);
  });

  test('follow an address to another node, and the old node’s late removal does not take it away', async () => {
    await nodes[1]?.pod('moved', '10.1.1.5');
    await settled(async () => (await ipcache(w1)).includes('10.1.1.5/32 is 5 via 192.168.1.2'));
    await e1.call('DELETE', '/v1/endpoints/shop/a');
    await east.workload('e2', 'moved', 65_540);
    await settled(async () => (await ipcache(w1)).includes('10.1.1.5/32 is 65540 via 192.168.1.2'));
    await settled(async () => (await ipcache(e1)).includes('10.1.1.5/32 is 65540 via 192.168.1.2'));
    expect(await nodes[1]?.call('GET', '/v1/endpoints')).toMatchObject([
      { name: 'b' },
      { name: 'moved', identity: 65_540 },
    ]);
  });

  test('withdraw nothing when they stop, and everything when they leave', async () => {
    const keysOf = async (): Promise<string[]> => {
      const found: string[] = [];
      for await (const page of east.store.list('cilium/state/'))
        for (const entry of page.entries) found.push(toText(entry.key));
      return found.filter((key) => key.includes('/nodes/') || key.includes('/ip/'));
    };
    const all = [
      'cilium/state/ip/v1/default/10.1.1.5',
      'cilium/state/ip/v1/default/10.1.2.5',
      'cilium/state/nodes/v1/east/e1',
      'cilium/state/nodes/v1/east/e2',
    ];
    await e1.stop();
    expect(await keysOf()).toEqual(all);
    await e1.start(['west', 'east']);
    await settled(() => e1.status().ready);
    expect(await e1.call('POST', '/v1/leave')).toEqual({ left: true });
    expect(await keysOf()).toEqual(all.filter((key) => !key.includes('10.1.1.5') && !key.endsWith('/e1')));
    await settled(async () => !(await ipcache(w1)).some((line) => line.includes('192.168.1.1')));
  });

  test('withdraw a cluster whose configuration is removed', async () => {
    await removeDirectory(`${directory}/e1/mesh/west`);
    await settled(async () => (await ipcache(e1)).length === 6);
    expect(await ipcache(e1)).toEqual(ofE1.filter((line) => !line.startsWith('10.2.') && !line.includes('remote')));
    expect(await backends(e1)).toEqual(['10.1.1.5']);
    expect(e1.status().clusters).toEqual([]);
  });

  test('keep what they know when the own store begins anew, until its writers have said everything again', async () => {
    const before = await ipcache(w1);
    const eastBefore = await ipcache(e1);
    // The store process of east is replaced by an empty one under the same address.
    east.engine = new MemoryEngine({ clock });
    const fresh = new EngineStore(east.engine, { clock, endpoint: 'east' });
    for (const one of nodes.slice(0, 2)) await one.stop();
    east.store = fresh;
    for (const one of nodes.slice(0, 2)) await one.start(['west', 'east']);
    await settled(async () => (await fresh.get(ipKey('10.1.1.5'))) !== undefined);
    expect(await ipcache(e1)).toEqual(eastBefore);
    expect(await backends(e1)).toEqual(['10.1.1.5', '10.2.1.5', '10.2.2.5']);
    expect(await ipcache(w1)).toEqual(before);
  });
});

test('agents of a mesh of 511 clusters know the pods of their own cluster', async () => {
  const clock = new VirtualClock();
  const directory = await temporaryDirectory();
  const east = new TestCluster('east', 300, clock, 511);
  const nodes = ['e1', 'e2'].map(
    (name, i) => new TestNode(east, name, `192.168.1.${i + 1}`, `${directory}/${name}`, () => undefined),
  );
  try {
    await east.begin({ e1: '10.1.1.0/24', e2: '10.1.2.0/24' });
    // 15 bits for an identity, 9 for the cluster.
    await east.workload('e1', 'a', 300 * 2 ** 15 + 1);
    await east.workload('e2', 'b', 300 * 2 ** 15 + 2);
    for (const one of nodes) {
      await one.prepare();
      await one.start([]);
    }
    await nodes[0]?.pod('a', '10.1.1.5');
    await nodes[1]?.pod('b', '10.1.2.5');
    await east.canariesAfter(2);
    for (const one of nodes) {
      await until(clock, () => one.status().ready && one.status().counts.endpoints === 2);
      expect(one.status()).toMatchObject({ refused: 0, counts: { identities: 2 } });
    }
    expect(await ipcache(nodes[0] as TestNode)).toContain('10.1.2.5/32 is 9830402 via 192.168.1.2');
  } finally {
    for (const one of nodes) await one.stop();
    await removeDirectory(directory);
  }
});
