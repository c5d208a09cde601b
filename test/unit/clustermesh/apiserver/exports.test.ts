import { describe, expect, test } from '@jest/globals';
import {
  type EndpointSliceRecord,
  decodeClusterConfig,
  decodeEndpointSlice,
  decodeService,
  decodeServiceExport,
  ownSetKey,
} from '../../../../clustermesh/index.ts';
import { type KubernetesObject, followedKinds, kubernetesKinds } from '../../../../kubernetes/index.ts';
import { toText } from '../../../../kvstore/index.ts';
import { Harness, namespace, service, slice, yaml } from './harness.ts';

const slices = 'cilium/state/endpointslices/v1/east/';
const services = 'cilium/state/services/v1/east/';
const exports = 'cilium/state/serviceexports/v1/east/';
const canaries = 'cilium/synced/east/cilium/state/';
const global = '{service.cilium.io/global: "true"}';

async function sliceOf(it: Harness, suffix: string): Promise<EndpointSliceRecord> {
  const found = (await it.bytes(slices)).get(suffix);
  if (!found) throw new Error(`no ${suffix}`);
  return decodeEndpointSlice(suffix, found, { cluster: 'east', clusterId: 1 });
}

function exported(name: string, extra = '', created = '2026-01-02T03:04:05Z'): readonly KubernetesObject[] {
  const time = created === '' ? '' : `, creationTimestamp: "${created}"`;
  return yaml(
    `{apiVersion: multicluster.x-k8s.io/v1beta1, kind: ServiceExport, metadata: {name: ${name}, namespace: shop${time}}${extra}}`,
  );
}

async function started(
  objects: readonly KubernetesObject[],
  options: Parameters<Harness['start']>[0] = {},
): Promise<Harness> {
  const it = new Harness();
  it.add(...namespace('shop'), ...objects);
  it.source.markSynced();
  await it.start(options);
  return it;
}

describe('An EndpointSlice is exported', () => {
  test('with everything that it says, unready and terminating endpoints with their conditions', async () => {
    await using it = await started([
      ...service('web'),
      ...yaml(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, namespace: shop, labels: {kubernetes.io/service-name: web, x: y}, annotations: {note: hello}}
addressType: IPv6
endpoints:
- {addresses: ["FD00::1"], conditions: {ready: true, serving: true, terminating: false}, nodeName: n1, zone: z1, hints: {forZones: [{name: z1}]}, targetRef: {kind: Pod, name: p, namespace: shop}}
- {addresses: ["fd00::2"], conditions: {ready: false, serving: true, terminating: true}, hostname: web-1}
- {addresses: ["fd00::3"], conditions: {ready: false}}
- {addresses: ["fd00::4"]}
ports: [{name: http, port: 8080, appProtocol: h2c}, {name: dns, port: 53, protocol: UDP}, {name: any}]
`),
    ]);
    expect(await sliceOf(it, 'shop/web-1')).toEqual({
      cluster: 'east',
      clusterId: 1,
      namespace: 'shop',
      name: 'web-1',
      labels: { 'kubernetes.io/service-name': 'web', x: 'y' },
      annotations: { note: 'hello' },
      addressType: 'IPv6',
      endpoints: [
        {
          addresses: ['fd00::1'],
          conditions: { ready: true, serving: true, terminating: false },
          nodeName: 'n1',
          zone: 'z1',
          hints: { forZones: ['z1'] },
        },
        { addresses: ['fd00::2'], conditions: { ready: false, serving: true, terminating: true }, hostname: 'web-1' },
        // No more is told than the object says.
        { addresses: ['fd00::3'], conditions: { ready: false } },
        { addresses: ['fd00::4'], conditions: {} },
      ],
      ports: [
        { name: 'http', protocol: 'TCP', port: 8080, appProtocol: 'h2c' },
        { name: 'dns', protocol: 'UDP', port: 53 },
        { name: 'any', protocol: 'TCP' },
      ],
    });
  });

  test.each([
    { when: 'the Service is not global', objects: [...service('web', '{}'), ...slice('s', 'web')] },
    {
      when: 'the Service is not shared',
      objects: [
        ...service('web', '{service.cilium.io/global: "true", service.cilium.io/shared: "false"}'),
        ...slice('s', 'web'),
      ],
    },
    { when: 'there is no such Service', objects: [...service('web'), ...slice('s', 'other')] },
    {
      when: 'it belongs to none',
      objects: yaml(
        '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s, namespace: shop}, addressType: IPv4}',
      ),
    },
    {
      when: 'its endpoints have names instead of addresses',
      objects: [
        ...service('web'),
        ...yaml(
          '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s, namespace: shop, labels: {kubernetes.io/service-name: web}}, addressType: FQDN, endpoints: [{addresses: [a.example]}]}',
        ),
      ],
    },
    {
      when: 'the Service only renames another',
      objects: [...service('web', global, ', type: ExternalName, externalName: a.example'), ...slice('s', 'web')],
    },
  ])('not when $when', async ({ objects }) => {
    await using it = await started(objects);
    expect(await it.keys(slices)).toEqual([]);
    expect(await it.keys(canaries)).toContain('endpointslices/v1');
  });

  test('and counted only where its backends are ours: what Cilium’s operator writes of other clusters is none', async () => {
    const meshSlice = (managedBy: string): readonly KubernetesObject[] =>
      yaml(`
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-west-1, namespace: shop, labels: {kubernetes.io/service-name: web, endpointslice.kubernetes.io/managed-by: ${managedBy}}}
addressType: IPv4
endpoints: [{addresses: [10.2.0.5], nodeName: west, zone: west}]
ports: [{name: http, port: 8080}]
`);
    const backends = async (): Promise<string[]> => {
      const found = (await it.bytes(services)).get('shop/web');
      return Object.keys(found ? decodeService('shop/web', found).backends : {});
    };
    await using it = await started([
      ...service('web'),
      ...slice('s', 'web'),
      ...meshSlice('endpointslice-mesh-controller.cilium.io'),
    ]);
    expect(await backends()).toEqual(['10.1.0.5']);
    expect(await it.keys(slices)).toEqual(['shop/s']);
    expect(await it.keys('isthmus/v1/endpoints/')).toEqual(['shop/web/s']);
    // Those that it makes of our own for a derived Service are ours.
    it.add(...meshSlice('endpointslice-local-mcsapi-controller.cilium.io'));
    await it.settle();
    expect(await backends()).toEqual(['10.1.0.5', '10.2.0.5']);
    expect(await it.keys(slices)).toEqual(['shop/s', 'shop/web-west-1']);
    it.add(...meshSlice('endpointslice-mesh-controller.cilium.io'));
    await it.settle();
    expect(await backends()).toEqual(['10.1.0.5']);
    expect(await it.keys(slices)).toEqual(['shop/s']);
  });

  test('and withdrawn or moved with its Service, in whatever order the two change', async () => {
    await using it = await started([...service('web'), ...service('api'), ...slice('s', 'web'), ...slice('t', 'web')]);
    expect(await it.keys(slices)).toEqual(['shop/s', 'shop/t']);
    it.add(...service('web', '{}'));
    await it.settle();
    expect(await it.keys(slices)).toEqual([]);
    it.add(...slice('t', 'api'));
    await it.settle();
    expect(await it.keys(slices)).toEqual(['shop/t']);
    it.add(...service('web'));
    it.source.delete('Service', 'shop', 'api');
    await it.settle();
    expect(await it.keys(slices)).toEqual(['shop/s']);
    it.source.delete('EndpointSlice', 'shop', 's');
    await it.settle();
    expect(await it.keys(slices)).toEqual([]);
  });

  test('once: a restart writes nothing whose content is the same', async () => {
    await using it = await started([...service('web'), ...slice('s', 'web')]);
    const before = await it.bytes(slices);
    await it.stop();
    await it.start();
    expect(await it.bytes(slices)).toEqual(before);
  });
});

describe('Shared services', () => {
  test.each([
    { mode: undefined, forms: 'services-and-endpointslices', keys: ['shop/web'] },
    { mode: 'prefer-legacy' as const, forms: 'services-and-endpointslices', keys: ['shop/web'] },
    { mode: 'prefer-endpointslice' as const, forms: 'services-and-endpointslices', keys: ['shop/web'] },
    { mode: 'only-endpointslice' as const, forms: 'endpointslices-only', keys: [] },
  ])('are exported as $forms with --clustermesh-service-v2 $mode', async ({ mode, forms, keys }) => {
    await using it = await started([...service('web'), ...slice('s', 'web')], mode ? { serviceV2: mode } : {});
    expect(await it.keys(services)).toEqual(keys);
    expect(await it.keys(slices)).toEqual(['shop/s']);
    expect(await it.keys(canaries)).toEqual(expect.arrayContaining(['endpointslices/v1', 'services/v1']));
    const config = (await it.stored('cilium/cluster-config/'))['east'] ?? '';
    expect(decodeClusterConfig('east', config).endpointSlicesExportMode).toBe(forms);
  });

  test('lose the records of the form that is left out, once an earlier life wrote them', async () => {
    await using it = await started([...service('web'), ...slice('s', 'web')]);
    expect(await it.keys(services)).toEqual(['shop/web']);
    await it.stop();
    await it.start({ serviceV2: 'only-endpointslice' });
    expect(await it.keys(services)).toEqual([]);
    expect(await it.keys(slices)).toEqual(['shop/s']);
  });
});

describe('A service export', () => {
  const on = { serviceExports: true };

  test('is published for a Service, global or not, with what it says', async () => {
    const spec = `, spec: {exportedLabels: {tier: gold}, exportedAnnotations: {team: red}}`;
    await using it = await started([...service('web', '{}'), ...exported('web', spec)], on);
    expect(await it.stored(exports)).toEqual({
      'shop/web':
        '{"cluster":"east","name":"web","namespace":"shop","annotations":{"team":"red"},"labels":{"tier":"gold"},"Labels":{"tier":"gold"},"Annotations":{"team":"red"},"exportCreationTimestamp":"2026-01-02T03:04:05Z","ports":[{"name":"http","protocol":"TCP","port":80}],"type":"ClusterSetIP","sessionAffinity":"None","ipFamilies":["IPv4"],"internalTrafficPolicy":"Cluster"}',
    });
    expect((await it.stored('cilium/cluster-config/'))['east']).toContain('"serviceExportsEnabled":true');
  });

  test.each([
    { what: 'headless', spec: ', clusterIP: None', expected: { type: 'Headless', ipFamilies: [] } },
    {
      what: 'of both families',
      spec: ', clusterIPs: [10.96.0.7, "fd00::7"]',
      expected: { ipFamilies: ['IPv4', 'IPv6'] },
    },
    {
      what: 'sticky',
      spec: ', sessionAffinity: ClientIP',
      expected: { sessionAffinity: 'ClientIP', sessionAffinityTimeoutSeconds: 10_800 },
    },
    {
      what: 'kept near',
      spec: ', internalTrafficPolicy: Local, trafficDistribution: PreferClose',
      expected: { internalTrafficPolicy: 'Local', trafficDistribution: 'PreferClose' },
    },
    { what: 'distributed in a way nobody knows', spec: ', trafficDistribution: Far', expected: {} },
  ])('tells of a Service that is $what', async ({ spec, expected }) => {
    const [base] = service('web', '{}', spec.includes('clusterIP') ? '' : spec);
    const objects = spec.includes('clusterIP')
      ? yaml(
          `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: [{port: 80}]${spec}}}`,
        )
      : base
        ? [base]
        : [];
    await using it = await started([...objects, ...exported('web')], on);
    const record = decodeServiceExport('shop/web', (await it.stored(exports))['shop/web'] ?? '');
    expect(record).toMatchObject(expected);
    if (Object.keys(expected).length === 0) expect(record).not.toHaveProperty('trafficDistribution');
  });

  test.each([
    { when: 'there is no Service', objects: [...exported('web')] },
    {
      when: 'the Service only renames another',
      objects: [...service('web', '{}', ', type: ExternalName, externalName: a.example'), ...exported('web')],
    },
    {
      when: 'its namespace is not global',
      objects: [
        ...service('web'),
        ...exported('web'),
        ...namespace('shop', ', annotations: {clustermesh.cilium.io/global: "false"}'),
      ],
    },
  ])('is not published when $when', async ({ objects }) => {
    await using it = await started(objects, on);
    expect(await it.keys(exports)).toEqual([]);
    expect(await it.keys(canaries)).toContain('serviceexports/v1');
  });

  test('comes and goes with its Service and its object', async () => {
    await using it = await started([...exported('web')], on);
    it.add(...service('web', '{}'));
    await it.settle();
    expect(await it.keys(exports)).toEqual(['shop/web']);
    it.source.delete('Service', 'shop', 'web');
    await it.settle();
    expect(await it.keys(exports)).toEqual([]);
    it.add(...service('web', '{}'));
    await it.settle();
    it.source.delete('ServiceExport', 'shop', 'web');
    await it.settle();
    expect(await it.keys(exports)).toEqual([]);
  });

  test('without a time of its own counts as made when it was first seen, in later lives too', async () => {
    await using it = await started([...service('web', '{}'), ...exported('web', '', '')], on);
    const created = async (): Promise<number> =>
      decodeServiceExport('shop/web', (await it.stored(exports))['shop/web'] ?? '').exportCreationMs;
    const first = await created();
    expect(first).toBe(Date.UTC(2026, 0, 1));
    await it.clock.advance(100_000);
    it.add(...service('web', '{}', ', sessionAffinity: ClientIP'));
    await it.settle();
    expect(await created()).toBe(first);
    await it.stop();
    await it.clock.advance(100_000);
    await it.start(on);
    expect(await created()).toBe(first);
  });

  test('set that is off is empty, and says so', async () => {
    await using it = await started([...service('web', '{}'), ...exported('web')], on);
    expect(await it.keys(exports)).toEqual(['shop/web']);
    await it.stop();
    await it.start();
    expect(await it.keys(exports)).toEqual([]);
    expect(await it.keys(canaries)).toContain('serviceexports/v1');
    expect((await it.stored('cilium/cluster-config/'))['east']).toContain('"serviceExportsEnabled":false');
  });

  test('set that could not be listed has no canary, and what is there stays', async () => {
    await using it = await started([...service('web', '{}'), ...exported('web')], on);
    await it.stop();
    const source = new (it.source.constructor as typeof import('../../../../kubernetes/index.ts').MemorySource)();
    for (const object of [...namespace('shop'), ...service('web', '{}')]) source.set(object);
    source.markSynced(kubernetesKinds.filter((kind) => kind !== 'ServiceExport'));
    const canary = async (): Promise<string | undefined> => (await it.stored(canaries))['serviceexports/v1'];
    const before = await canary();
    await it.clock.advance(100_000);
    await it.start({ ...on, source });
    expect(it.apiserver.status()).toMatchObject({ ready: false, waitingFor: ['listing of ServiceExport'] });
    expect([await it.keys(exports), await canary()]).toEqual([['shop/web'], before]);
    source.markSynced();
    await it.settle();
    expect(await it.keys(exports)).toEqual([]);
    expect(await canary()).not.toBe(before);
  });

  test('needs a source that follows ServiceExports', async () => {
    await using it = new Harness(followedKinds({ mode: 'kubernetes', serviceExports: false }));
    await expect(it.start(on)).rejects.toThrow('Service exports cannot be published');
    await it.start();
    it.source.markSynced();
    await it.settle();
    expect(it.apiserver.status()).toMatchObject({ ready: true });
  });
});

describe('The record of a shared service, as Cilium makes it (kvstore-schema §7),', () => {
  const ports = 'ports: [{name: http, port: 8080}, {port: 53, protocol: UDP}]';
  const endpoints = (list: string, name = 's', type = 'IPv4', of = ports): readonly KubernetesObject[] =>
    yaml(
      `{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: web}}, addressType: ${type}, endpoints: ${list}, ${of}}`,
    );
  const named = { http: { protocol: 'TCP', port: 8080 }, '': { protocol: 'UDP', port: 53 } };

  test.each([
    {
      what: 'has every cluster IP of both families',
      objects: yaml(
        `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, annotations: ${global}}, spec: {clusterIPs: [10.96.0.7, "fd00::7"], ports: [{name: a, port: 1}, {name: b, port: 2, protocol: SCTP}]}}`,
      ),
      expected: {
        frontends: Object.fromEntries(
          ['10.96.0.7', 'fd00::7'].map((ip) => [
            ip,
            { a: { protocol: 'TCP', port: 1 }, b: { protocol: 'SCTP', port: 2 } },
          ]),
        ),
        selector: {},
      },
    },
    {
      what: 'has no frontend when it is headless, in any case',
      objects: yaml(
        `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, annotations: ${global}}, spec: {clusterIP: none, ports: [{port: 1}]}}`,
      ),
      expected: { frontends: {} },
    },
    {
      what: 'has none either when a label says headless',
      objects: yaml(
        `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, labels: {service.kubernetes.io/headless: ""}, annotations: ${global}}, spec: {clusterIP: 10.96.0.7, ports: [{port: 1}]}}`,
      ),
      expected: { frontends: {} },
    },
    {
      what: 'has backends that are ready or serve still, and no others',
      objects: [
        ...service('web'),
        ...endpoints(
          '[{addresses: [10.1.0.1]}, {addresses: [10.1.0.2], conditions: {ready: false}}, {addresses: [10.1.0.3], conditions: {ready: false, serving: true, terminating: true}}, {addresses: [10.1.0.4], conditions: {ready: false, serving: false, terminating: true}}]',
        ),
      ],
      expected: { backends: { '10.1.0.1': named, '10.1.0.3': named } },
    },
    {
      what: 'has backends of both families, of slices without a selector too',
      objects: [
        ...yaml(
          `{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop, annotations: ${global}}, spec: {clusterIP: 10.96.0.7, ports: [{port: 1}]}}`,
        ),
        ...endpoints('[{addresses: [10.1.0.1]}]'),
        ...endpoints('[{addresses: ["fd00::1"]}]', 't', 'IPv6'),
      ],
      expected: { backends: { '10.1.0.1': named, 'fd00::1': named }, selector: {} },
    },
    {
      what: 'has the ports of the last slice by name that has an address',
      objects: [
        ...service('web'),
        ...endpoints('[{addresses: [10.1.0.1]}]', 'b', 'IPv4', 'ports: [{name: x, port: 9}]'),
        ...endpoints('[{addresses: [10.1.0.1]}]', 'a'),
      ],
      expected: { backends: { '10.1.0.1': { x: { protocol: 'TCP', port: 9 } } } },
    },
    {
      what: 'has host names and zones, a zone without hints with an empty list',
      objects: [
        ...service('web'),
        ...endpoints(
          '[{addresses: [10.1.0.1], hostname: web-0, zone: z1}, {addresses: [10.1.0.2], zone: z2, hints: {forZones: [{name: z1}, {name: z2}]}}]',
        ),
      ],
      expected: {
        hostnames: { '10.1.0.1': 'web-0' },
        zones: { '10.1.0.1': { zone: 'z1', forZones: [] }, '10.1.0.2': { zone: 'z2', forZones: ['z1', 'z2'] } },
      },
    },
    { what: 'is there without a backend', objects: service('web'), expected: { backends: {} } },
    {
      what: 'says nothing of affinity, which is up to each reader',
      objects: service('web', '{service.cilium.io/global: "True", service.cilium.io/affinity: local}'),
      expected: { shared: true, includeExternal: true },
    },
    {
      what: 'is made of old annotations too',
      objects: service('web', '{io.cilium/global-service: "true"}'),
      expected: { shared: true },
    },
  ])('$what', async ({ objects, expected }) => {
    await using it = await started(objects);
    const value = (await it.stored(services))['shop/web'] ?? '';
    expect(decodeService('shop/web', value, { cluster: 'east', clusterId: 1 })).toMatchObject(expected);
    const backends = 'backends' in expected ? expected.backends : undefined;
    if (backends) expect(Object.keys(decodeService('shop/web', value).backends)).toEqual(Object.keys(backends));
  });
});

test('Everything that an apiserver writes is under a lease, but identities', async () => {
  await using it = await started([...service('web'), ...slice('s', 'web'), ...exported('web')], {
    serviceExports: true,
  });
  await it.store.put(ownSetKey('n1'), 'now');
  for await (const page of it.store.list(''))
    for (const { key, lease } of page.entries)
      if (!/\/identities\/|own-set/.test(toText(key))) expect([toText(key), lease !== 0n]).toEqual([toText(key), true]);
});

describe('A Service that is labelled for another proxy', () => {
  const label = 'labels: {service.kubernetes.io/service-proxy-name: ""}';
  const labelled = yaml(`
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: ${global}, ${label}}
spec: {clusterIP: 10.96.0.7, selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
`);

  test('is none to us, neither here nor elsewhere, and is one when the label goes', async () => {
    await using it = await started([...labelled, ...slice('web-1', 'web')]);
    expect(await it.keys(services)).toEqual([]);
    expect(await it.keys(slices)).toEqual([]);
    expect(await it.keys('isthmus/v1/services/')).toEqual([]);
    expect(it.apiserver.status().errors).toEqual([]);
    expect(await it.keys(canaries)).toContain('services/v1');
    it.add(...service('web'));
    await it.settle();
    expect([await it.keys(services), await it.keys(slices)]).toEqual([['shop/web'], ['shop/web-1']]);
    it.add(...labelled);
    await it.settle();
    expect([await it.keys(services), await it.keys(slices)]).toEqual([[], []]);
    expect(await it.keys('isthmus/v1/services/')).toEqual([]);
  });
});
