import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { runApiserver } from '../../../clustermesh/index.ts';
import { type KubernetesObject, MemorySource } from '../../../kubernetes/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { TestCluster, TestNode, removeDirectory, temporaryDirectory, until } from './support.ts';

const meta = (
  name: string,
  namespace = '',
  annotations: Record<string, string> = {},
  labels: Record<string, string> = {},
) => ({
  name,
  namespace,
  uid: `${namespace}/${name}`,
  labels,
  annotations,
});

function nodeObject(name: string, ip: string, cidr: string): KubernetesObject {
  return {
    kind: 'Node',
    metadata: meta(name),
    spec: { podCIDRs: [cidr] },
    status: { addresses: [{ type: 'InternalIP', address: ip }], ready: true },
  };
}

function podObject(name: string, node: string, ip: string): KubernetesObject {
  return {
    kind: 'Pod',
    metadata: meta(name, 'shop', {}, { app: 'web', pod: name }),
    spec: {
      nodeName: node,
      serviceAccountName: 'default',
      hostNetwork: false,
      ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    },
    status: { phase: 'Running', podIPs: [ip], ready: true },
  };
}

function serviceObjects(clusterIp: string, backends: readonly string[]): KubernetesObject[] {
  return [
    {
      kind: 'Service',
      metadata: meta('web', 'shop', { 'service.cilium.io/global': 'true' }),
      spec: {
        type: 'ClusterIP',
        clusterIPs: [clusterIp],
        ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 'http' }],
        selector: { app: 'web' },
        externalIPs: [],
        loadBalancerIPs: [],
        loadBalancerSourceRanges: [],
        sessionAffinity: 'None',
        publishNotReadyAddresses: false,
      },
    },
    {
      kind: 'EndpointSlice',
      metadata: meta('web-1', 'shop', {}, { 'kubernetes.io/service-name': 'web' }),
      addressType: 'IPv4',
      endpoints: backends.map((ip) => ({
        addresses: [ip],
        conditions: { ready: true, serving: true, terminating: false },
      })),
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    },
  ];
}

describe('apiservers and agents of two clusters in one process', () => {
  let clock: VirtualClock;
  let directory: string;
  let nodes: TestNode[];
  let clusters: { readonly cluster: TestCluster; readonly source: MemorySource; stop: () => Promise<void> }[];

  const apiserver = (cluster: TestCluster, source: MemorySource): (() => Promise<void>) => {
    const controller = new AbortController();
    const options = {
      clusterName: cluster.name,
      clusterId: cluster.id,
      store: cluster.store,
      source,
      clock,
      log: silentLogger,
    };
    const running = runApiserver(options, controller.signal).catch((error: unknown) => {
      if (!controller.signal.aborted) throw error;
    });
    return async () => {
      controller.abort(new DOMException('The test stops the apiserver', 'AbortError'));
      await running;
    };
  };

  beforeEach(async () => {
    clock = new VirtualClock();
    directory = await temporaryDirectory();
    nodes = [];
    clusters = (['east', 'west'] as const).map((name, i) => {
      const id = i + 1;
      const cluster = new TestCluster(name, id, clock);
      const source = new MemorySource();
      source.set({ kind: 'Namespace', metadata: meta('shop') });
      for (const n of [1, 2]) {
        source.set(nodeObject(`${name}-${n}`, `192.168.${id}.${n}`, `10.${id}.${n}.0/24`));
        source.set(podObject(`web-${n}`, `${name}-${n}`, `10.${id}.${n}.5`));
      }
      for (const object of serviceObjects(`10.96.${id}.1`, [`10.${id}.1.5`, `10.${id}.2.5`])) source.set(object);
      source.markSynced();
      return { cluster, source, stop: apiserver(cluster, source) };
    });
    const engineOf = (name: string) => clusters.find(({ cluster }) => cluster.name === name)?.cluster.engine;
    for (const { cluster } of clusters)
      for (const n of [1, 2]) {
        const name = `${cluster.name}-${n}`;
        const one = new TestNode(cluster, name, `192.168.${cluster.id}.${n}`, `${directory}/${name}`, engineOf);
        nodes.push(one);
        await one.prepare();
        await one.start(['east', 'west']);
        await one.pod(`web-${n}`, `10.${cluster.id}.${n}.5`);
      }
    await until(clock, () => nodes.every((one) => one.status().ready && one.status().waitingFor.length === 0));
  });
  afterEach(async () => {
    for (const one of nodes) await one.stop();
    for (const { stop } of clusters) await stop();
    await removeDirectory(directory);
  });

  test('come to one mesh: identities, addresses and backends are in every kernel', async () => {
    const identities = new Map<string, number>();
    for (const one of nodes) {
      const [endpoint] = (await one.call('GET', '/v1/endpoints')) as {
        readonly ips: string[];
        readonly identity: number;
      }[];
      identities.set(endpoint?.ips[0] ?? '', endpoint?.identity ?? 0);
    }
    expect([...identities.values()].map((identity) => identity >>> 16)).toEqual([1, 1, 2, 2]);
    for (const one of nodes) {
      const rows = await one.map('map isthmus_ipcache ');
      const found = rows.map((line) => {
        const [, , key = '', , value = ''] = line.split(' ');
        const k = Buffer.from(key, 'hex');
        return [
          `${k.subarray(8, 12).join('.')}/${k.readUInt32LE(0) - 32}`,
          Buffer.from(value, 'hex').readUInt32LE(0),
        ] as const;
      });
      for (const [ip, identity] of identities) expect(found).toContainEqual([`${ip}/32`, identity]);
      expect(await one.map('map isthmus_lb4_be ')).toHaveLength(4);
      expect(one.status()).toMatchObject({
        counts: { nodes: 2, endpoints: 2, identities: 2, services: 1, localEndpoints: 1 },
      });
      expect(one.status().clusters).toMatchObject([
        { ready: true, 'num-nodes': 2, 'num-endpoints': 2, 'num-identities': 2, 'num-shared-services': 1 },
      ]);
    }
  });

  test('keep identities and addresses of a namespace that is not global within its cluster', async () => {
    const [east, west] = clusters;
    if (!east || !west) throw new Error('There are no two clusters');
    const addresses = async (one: TestNode): Promise<string[]> =>
      (await one.map('map isthmus_ipcache '))
        .map((line) => Buffer.from(line.split(' ')[2] ?? '', 'hex'))
        .filter((key) => key.readUInt32LE(0) === 64 && key[8] === 10)
        .map((key) => key.subarray(8, 12).join('.'))
        .toSorted();
    const keys = async (prefix: string): Promise<number> => {
      let count = 0;
      for await (const page of west.cluster.store.list(prefix)) count += page.entries.length;
      return count;
    };
    const everyone = ['10.1.1.5', '10.1.2.5', '10.2.1.5', '10.2.2.5'];
    const [e1, , w1, w2] = nodes;
    if (!e1 || !w1 || !w2) throw new Error('There are no four nodes');
    expect(await addresses(e1)).toEqual(everyone);

    // Whatever moves between the two places, the own cluster must never lose it.
    let lost = false;
    const watching = async (): Promise<void> => {
      for (const one of [w1, w2]) lost ||= (await addresses(one)).length !== 4;
    };
    const settled = async (holds: () => Promise<boolean>): Promise<void> =>
      await until(clock, async () => {
        await watching();
        return await holds();
      });
    west.source.set({ kind: 'Namespace', metadata: meta('shop', '', { 'clustermesh.cilium.io/global': 'false' }) });
    await settled(async () => (await addresses(e1)).length === 2);
    expect(await addresses(e1)).toEqual(['10.1.1.5', '10.1.2.5']);
    await settled(async () => e1.status().clusters[0]?.['num-identities'] === 0);
    expect(e1.status().clusters[0]).toMatchObject({
      'num-endpoints': 0,
      'num-identities': 0,
      'num-shared-services': 0,
    });
    expect([await keys('cilium/state/ip/'), await keys('cilium/state/identities/')]).toEqual([0, 0]);
    expect([await keys('isthmus/v1/ip/'), await keys('isthmus/v1/identities/')]).toEqual([2, 2]);
    for (const one of [w1, w2]) expect(one.status().counts).toMatchObject({ endpoints: 2, identities: 2 });

    west.source.set({ kind: 'Namespace', metadata: meta('shop') });
    await settled(async () => (await addresses(e1)).length === 4);
    await settled(async () => e1.status().clusters[0]?.['num-identities'] === 2);
    expect([await keys('isthmus/v1/ip/'), await keys('isthmus/v1/identities/')]).toEqual([0, 0]);
    expect(lost).toBe(false);
    for (const one of [w1, w2]) expect(one.status().counts).toMatchObject({ endpoints: 2, identities: 2 });
  });

  test('go on when an apiserver is stopped in an orderly way and started again', async () => {
    await until(clock, () => nodes.every((one) => one.status().tables.every(({ lastAudit }) => lastAudit?.pruned)));
    const before = await Promise.all(nodes.map((one) => one.kernel.describe()));
    const [east] = clusters;
    if (!east) throw new Error('There is no cluster east');
    await east.stop();
    await until(clock, () => clock.monotonicMs() > 30_000, 1000);
    expect(await Promise.all(nodes.map((one) => one.kernel.describe()))).toEqual(before);
    east.stop = apiserver(east.cluster, east.source);
    const [first] = serviceObjects('10.96.1.1', []);
    if (first) east.source.set(first);
    await until(clock, () => clock.monotonicMs() > 60_000, 1000);
    expect(await Promise.all(nodes.map((one) => one.kernel.describe()))).toEqual(before);
  });
});
