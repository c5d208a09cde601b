import { describe, expect, test } from '@jest/globals';
import { placeServices, podPath, schedule } from '../../../lab/scheduler/index.ts';
import { type Topology, defaultTopology, parseTopology } from '../../../lab/topology/index.ts';
import { pod, service, workload } from './objects.ts';

function placed(
  topology: Topology,
  ...args: [Parameters<typeof schedule>[1], Parameters<typeof schedule>[2]?]
): string[] {
  return schedule(topology, args[0], args[1] ?? []).map(({ cluster, node, ip }) => `${cluster}/${node} ${ip}`);
}

describe('the scheduler', () => {
  test('puts replicas where the topology says, on the node with the fewest pods', () => {
    const topology = parseTopology('workloads: { shop/web: { east: 3, west: 1 } }', 't.yaml');
    expect(placed(topology, [workload('web', 9)])).toEqual([
      'east/node-1 10.1.0.10',
      'east/node-2 10.1.1.10',
      'east/node-1 10.1.0.11',
      'west/node-1 10.2.0.10',
    ]);
  });

  test('splits replicas over the clusters and alternates single ones when nothing is said', () => {
    const pods = schedule(defaultTopology(), [workload('a', 2), workload('b', 1), workload('c', 1)], []);
    expect(pods.map((one) => `${one.cluster} ${one.pod.metadata.labels['app']}`)).toEqual([
      'east a',
      'west a',
      'west b',
      'east c',
    ]);
  });

  test('runs a DaemonSet once on every node, and a StatefulSet with ordinal names', () => {
    expect(placed(defaultTopology(), [workload('log', 1, 'DaemonSet')])).toEqual([
      'east/node-1 10.1.0.10',
      'east/node-2 10.1.1.10',
      'west/node-1 10.2.0.10',
      'west/node-2 10.2.1.10',
    ]);
    const names = schedule(
      parseTopology('workloads: { shop/db: { east: 2 } }', 't.yaml'),
      [workload('db', 2, 'StatefulSet')],
      [],
    ).map((one) => one.name);
    expect(names).toEqual(['db-0', 'db-1']);
  });

  test('gives a pod of the host’s network a place of its own like any other', () => {
    const bare = pod('bare');
    const host = { ...bare, spec: { ...bare.spec, hostNetwork: true } };
    const [placedPod] = schedule(defaultTopology(), [], [host]);
    expect(placedPod).toMatchObject({ ip: '10.1.0.10', pod: { spec: { hostNetwork: false } } });
  });

  test('refuses more pods than the nodes have addresses for, naming the workload and the node', () => {
    expect(() => schedule(defaultTopology(), [workload('web', 1000)], [])).toThrow(
      /^shop\/web-\S+: node east\/node-1 has addresses for 245 pods only/,
    );
  });

  test('refuses two pods of one name, naming what both are of', () => {
    const set = workload('web', 2, 'StatefulSet');
    expect(() => schedule(defaultTopology(), [set], [pod('web-0')])).toThrow(
      'east/shop/web-0: two pods of one name, of StatefulSet shop/web and of Pod shop/web-0; rename one of them',
    );
    // In another cluster it is another pod.
    const west = parseTopology('workloads: { shop/web: { west: 1 } }', 't.yaml');
    expect(schedule(west, [set], [pod('web-0')]).map(podPath)).toEqual(['west/shop/web-0', 'east/shop/web-0']);
  });

  test('keeps names and addresses between runs, and gives no name twice', () => {
    const workloads = [workload('a', 5), workload('b', 3)];
    const once = schedule(defaultTopology(), workloads, [pod('bare')]);
    expect(schedule(defaultTopology(), workloads, [pod('bare')])).toEqual(once);
    expect(new Set(once.map(podPath)).size).toBe(9);
    expect(new Set(once.map(({ ip }) => ip)).size).toBe(9);
  });
});

describe('Services in clusters', () => {
  const pods = [
    { cluster: 'east', pod: pod('web') },
    { cluster: 'west', pod: pod('db') },
  ];

  test('a global one stands in every cluster with its own ClusterIP, another one where its backends are', () => {
    const topology = { ...defaultTopology(), globalServices: new Set(['shop/web']) };
    const { services, warnings } = placeServices(topology, [service('web'), service('db')], pods);
    expect(
      services.map(({ cluster, global, service: { metadata, spec } }) => [
        metadata.name,
        cluster,
        global,
        spec.clusterIPs[0],
      ]),
    ).toEqual([
      ['web', 'east', true, '10.128.0.10'],
      ['web', 'west', true, '10.129.0.10'],
      ['db', 'west', false, '10.129.0.11'],
    ]);
    expect(services[0]?.service.metadata.annotations).toEqual({ 'service.cilium.io/global': 'true' });
    expect(warnings).toEqual([]);
  });

  test('the annotation of the manifest decides over the topology', () => {
    const off = service('web', {}, { 'service.cilium.io/global': 'false' });
    expect(
      placeServices(defaultTopology(), [off], pods).services.map(({ cluster, global }) => [cluster, global]),
    ).toEqual([['east', false]]);
  });

  test('a global name without a Service is named', () => {
    const topology = { ...defaultTopology(), globalServices: new Set(['shop/gone']) };
    expect(placeServices(topology, [service('empty')], pods).warnings).toEqual([
      'services.global: there is no Service shop/gone',
    ]);
  });

  test('more of them than a cluster has addresses for are refused, naming the Service and the block', () => {
    const topology = parseTopology('clusters: [{ name: east, id: 1, serviceCIDR: 10.77.0.0/24 }]', 't.yaml');
    const services = Array.from({ length: 246 }, (_, i) => service(`s${i}`));
    expect(placeServices(topology, services.slice(1), pods).services.at(-1)?.service.spec.clusterIPs).toEqual([
      '10.77.0.254',
    ]);
    expect(() => placeServices(topology, services, pods)).toThrow(
      'shop/s245: 10.77.0.0/24 of cluster east has addresses for 245 Services only; give it a larger serviceCIDR',
    );
  });

  test('a headless one stays headless and an ExternalName has no address', () => {
    const { services } = placeServices(
      defaultTopology(),
      [service('web', { clusterIPs: ['None'] }), service('db', { type: 'ExternalName' })],
      pods,
    );
    expect(services.map(({ service: { spec } }) => spec.clusterIPs)).toEqual([['None'], ['None'], []]);
  });
});
