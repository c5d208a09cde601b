import { describe, expect, test } from '@jest/globals';
import type { EndpointSlice, KubernetesEvent, Service } from '../../../kubernetes/index.ts';
import { LabScheduler, schedule } from '../../../lab/scheduler/index.ts';
import { parseTopology } from '../../../lab/topology/index.ts';
import { service, workload } from './objects.ts';

const topology = parseTopology('clusters: [{ name: east, id: 1 }]\nworkloads: { shop/web: { east: 2 } }', 't.yaml');
const [cluster] = topology.clusters;

function scheduler(): LabScheduler {
  if (!cluster) throw new Error('no cluster');
  return new LabScheduler({
    cluster,
    nodeAddresses: ['172.30.1.11', '172.30.1.12'],
    namespaces: [],
    pods: schedule(topology, [workload('web', 2)], []),
    services: [service('web', { clusterIPs: ['10.128.0.10'] })],
    endpointSlices: [],
  });
}

/** What a watcher has got so far. */
async function collect(source: LabScheduler, act: () => void): Promise<KubernetesEvent[]> {
  const ending = new AbortController();
  const events: KubernetesEvent[] = [];
  const reading = (async () => {
    for await (const event of source.watch(ending.signal)) events.push(event);
  })();
  await new Promise((resolve) => setImmediate(resolve));
  act();
  await new Promise((resolve) => setImmediate(resolve));
  ending.abort();
  await reading;
  return events;
}

function addresses(slice: EndpointSlice): string[] {
  return slice.endpoints.map(
    ({ addresses: [ip], conditions }) =>
      `${ip} ${conditions.ready ? 'ready' : 'not ready'}${conditions.terminating ? ' terminating' : ''}`,
  );
}

describe('the scheduler as a source of Kubernetes objects', () => {
  test('lists everything, then says that each kind is complete', async () => {
    const events = await collect(scheduler(), () => undefined);
    expect(events.filter((event) => event.type === 'upsert').map(({ object }) => object.kind)).toEqual([
      'Namespace',
      'Node',
      'Node',
      'Pod',
      'Pod',
      'Service',
      'EndpointSlice',
    ]);
    expect(events.flatMap((event) => (event.type === 'synced' ? [event.kind] : []))).toEqual([
      'Namespace',
      'Node',
      'Service',
      'ServiceExport',
      'EndpointSlice',
      'NetworkPolicy',
      'Pod',
    ]);
  });

  test('resolves a named target port and lists ready pods by address', async () => {
    const events = await collect(scheduler(), () => undefined);
    const slice = events.flatMap((event) =>
      event.type === 'upsert' && event.object.kind === 'EndpointSlice' ? [event.object] : [],
    )[0];
    expect(slice?.ports).toEqual([{ name: 'web', protocol: 'TCP', port: 8080 }]);
    expect(slice && addresses(slice)).toEqual(['10.1.0.10 ready', '10.1.1.10 ready']);
  });

  test('a terminating pod leaves the ready endpoints first and is deleted afterwards', async () => {
    const source = scheduler();
    const [victim] = schedule(topology, [workload('web', 2)], []);
    const terminating = await collect(source, () => source.setState('shop', victim?.name ?? '', 'terminating'));
    const slices = terminating.flatMap((event) =>
      event.type === 'upsert' && event.object.kind === 'EndpointSlice' ? [addresses(event.object)] : [],
    );
    expect(slices.at(-1)).toEqual(['10.1.0.10 not ready terminating', '10.1.1.10 ready']);
    const stopped = await collect(source, () => source.setState('shop', victim?.name ?? '', 'stopped'));
    expect(stopped.at(-1)).toEqual({ type: 'delete', kind: 'Pod', namespace: 'shop', name: victim?.name });
  });

  test('a pod whose containers lack the named target port is no endpoint of that port', async () => {
    if (!cluster) throw new Error('no cluster');
    const ports: Service['spec']['ports'] = [
      { name: 'web', protocol: 'TCP', port: 80, targetPort: 'http' },
      { name: 'admin', protocol: 'TCP', port: 81, targetPort: 'admin' },
      { name: 'udp', protocol: 'UDP', port: 80, targetPort: 'http' },
    ];
    const source = new LabScheduler({
      cluster,
      nodeAddresses: [],
      namespaces: [],
      pods: schedule(topology, [workload('web', 2)], []),
      services: [service('web', { ports })],
      endpointSlices: [],
    });
    const slices = (await collect(source, () => undefined)).flatMap((event) =>
      event.type === 'upsert' && event.object.kind === 'EndpointSlice' ? [event.object] : [],
    );
    expect(slices.map((slice) => slice.ports)).toEqual([[{ name: 'web', protocol: 'TCP', port: 8080 }]]);
  });

  test('a Service that publishes addresses that are not ready keeps a terminating pod', async () => {
    if (!cluster) throw new Error('no cluster');
    const pods = schedule(topology, [workload('web', 2)], []);
    const source = new LabScheduler({
      cluster,
      nodeAddresses: [],
      namespaces: [],
      pods,
      services: [service('web', { publishNotReadyAddresses: true })],
      endpointSlices: [],
    });
    const events = await collect(source, () => source.setState('shop', pods[0]?.name ?? '', 'terminating'));
    const slices = events.flatMap((event) =>
      event.type === 'upsert' && event.object.kind === 'EndpointSlice' ? [addresses(event.object)] : [],
    );
    expect(slices.at(-1)).toEqual(['10.1.0.10 ready terminating', '10.1.1.10 ready']);
  });

  test('refuses a pod that it does not know', () => {
    expect(() => scheduler().setState('shop', 'nobody', 'stopped')).toThrow('Cluster east has no pod shop/nobody');
  });
});
