import { describe, expect, test } from '@jest/globals';
import {
  type ClusterServiceRecord,
  type EndpointSliceRecord,
  type LocalEndpoint,
  type LocalEndpointsRecord,
  type LocalServiceRecord,
  ServiceTable,
  mergeServices,
  selectBackends,
  serviceSettings,
} from '../../../../clustermesh/index.ts';

function service(
  annotations: Record<string, string> = {},
  changes: Partial<LocalServiceRecord> = {},
): LocalServiceRecord {
  return {
    namespace: 'shop',
    name: 'web',
    uid: 'u',
    type: 'ClusterIP',
    clusterIps: ['10.96.0.1'],
    headless: false,
    ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
    externalIps: [],
    loadBalancerIps: [],
    loadBalancerSourceRanges: [],
    sessionAffinity: 'None',
    annotations,
    hasSelector: true,
    ...changes,
  };
}

const ready: Omit<LocalEndpoint, 'addresses'> = { ready: true, serving: true, terminating: false };
const draining: Omit<LocalEndpoint, 'addresses'> = { ready: false, serving: true, terminating: true };

function slice(
  endpoints: readonly LocalEndpoint[],
  ports: LocalEndpointsRecord['ports'] = [{ name: 'http', port: 8080, protocol: 'TCP' }],
  name = 'web-1',
): LocalEndpointsRecord {
  return { namespace: 'shop', service: 'web', slice: name, addressType: 'IPv4', ports, endpoints };
}

function farSlice(
  cluster: string,
  name: string,
  endpoints: EndpointSliceRecord['endpoints'],
  ports: EndpointSliceRecord['ports'],
): EndpointSliceRecord {
  const labels = { 'kubernetes.io/service-name': 'web' };
  const place = { cluster, clusterId: 2, namespace: 'shop', name, labels, annotations: {} };
  return { ...place, addressType: 'IPv4', endpoints, ports };
}

function remote(
  cluster: string,
  backends: ClusterServiceRecord['backends'],
  changes: Partial<ClusterServiceRecord> = {},
): ClusterServiceRecord {
  return {
    cluster,
    clusterId: 2,
    namespace: 'shop',
    name: 'web',
    frontends: {},
    backends,
    hostnames: {},
    zones: {},
    labels: {},
    selector: {},
    includeExternal: true,
    shared: true,
    ...changes,
  };
}

const http = (port = 8080): ClusterServiceRecord['backends'][string] => ({ http: { protocol: 'TCP', port } });
const global = { 'service.cilium.io/global': 'true' };

const shown = (
  local: LocalServiceRecord,
  slices: readonly LocalEndpointsRecord[],
  remotes: readonly ClusterServiceRecord[],
): string[][] =>
  mergeServices('east', local, slices, remotes).ports.map(({ backends }) =>
    backends.map(
      ({ cluster, address, port, state }) => `${cluster} ${address}:${port}${state === 'active' ? '' : ` ${state}`}`,
    ),
  );

describe('annotations of a Service', () => {
  test.each([
    { annotations: {}, global: false, shared: false, affinity: 'none' },
    { annotations: { 'service.cilium.io/global': 'true' }, global: true, shared: true, affinity: 'none' },
    { annotations: { 'io.cilium/global-service': 'TRUE' }, global: true, shared: true, affinity: 'none' },
    { annotations: { 'service.cilium.io/global': 'yes' }, global: false, shared: false, affinity: 'none' },
    {
      annotations: { 'service.cilium.io/global': 'false', 'io.cilium/global-service': 'true' },
      global: false,
      shared: false,
      affinity: 'none',
    },
    { annotations: { ...global, 'service.cilium.io/shared': 'False' }, global: true, shared: false, affinity: 'none' },
    { annotations: { ...global, 'io.cilium/shared-service': 'false' }, global: true, shared: false, affinity: 'none' },
    {
      annotations: { ...global, 'service.cilium.io/affinity': 'Local' },
      global: true,
      shared: true,
      affinity: 'local',
    },
    {
      annotations: { ...global, 'io.cilium/service-affinity': 'remote' },
      global: true,
      shared: true,
      affinity: 'remote',
    },
    { annotations: { ...global, 'service.cilium.io/affinity': 'none' }, global: true, shared: true, affinity: 'none' },
    { annotations: { ...global, 'service.cilium.io/affinity': '' }, global: true, shared: true, affinity: 'none' },
    {
      annotations: { ...global, 'service.cilium.io/affinity': 'nearest' },
      global: true,
      shared: true,
      affinity: 'none',
    },
  ])('$annotations mean global $global, shared $shared, affinity $affinity', ({ annotations, ...expected }) => {
    expect(serviceSettings(annotations)).toEqual(expected);
  });
});

describe('backends of a Service', () => {
  const own = slice([{ addresses: ['10.1.0.1'], ...ready }]);

  test('are those of the own cluster alone unless it is global', () => {
    expect(shown(service(), [own], [remote('west', { '10.2.0.1': http() })])).toEqual([['east 10.1.0.1:8080']]);
  });

  test('of a global Service are those of all clusters, the own ones first', () => {
    const remotes = [remote('west', { '10.2.0.1': http() }), remote('north', { '10.3.0.1': http(9090) })];
    const expected = [['east 10.1.0.1:8080', 'north 10.3.0.1:9090', 'west 10.2.0.1:8080']];
    expect(shown(service(global), [own], remotes)).toEqual(expected);
    expect(shown(service(global), [own], remotes.toReversed())).toEqual(expected);
  });

  test('of a cluster that does not share take no part', () => {
    expect(shown(service(global), [], [remote('west', { '10.2.0.1': http() }, { shared: false })])).toEqual([[]]);
  });

  test('join the port of their name and protocol', () => {
    const ports = [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'dns', port: 53, protocol: 'UDP' },
      { name: 'other', port: 81, protocol: 'TCP' },
    ];
    const far = remote('west', {
      '10.2.0.1': {
        http: { protocol: 'TCP', port: 8080 },
        dns: { protocol: 'UDP', port: 5353 },
        other: { protocol: 'UDP', port: 9 },
        unknown: { protocol: 'TCP', port: 1 },
      },
    });
    expect(shown(service(global, { ports }), [], [far])).toEqual([['west 10.2.0.1:8080'], ['west 10.2.0.1:5353'], []]);
  });

  test('with several names for one port are one backend that carries them all', () => {
    const far = remote('west', {
      '10.2.0.1': { http: { protocol: 'TCP', port: 8080 }, web: { protocol: 'TCP', port: 8080 } },
    });
    const ports = [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'web', port: 81, protocol: 'TCP' },
    ];
    const merged = mergeServices('east', service(global, { ports }), [], [far]);
    expect(merged.ports.map(({ backends }) => backends.map(({ portNames }) => portNames))).toEqual([
      [['http', 'web']],
      [['http', 'web']],
    ]);
  });

  test('that a stranger makes up by the million do not keep us busy', () => {
    const names = Array.from({ length: 300_000 }, (_, i) => [`n${i}`, { protocol: 'TCP', port: 8080 }]);
    const far = remote('west', { '10.2.0.1': Object.fromEntries(names) });
    const [first] = mergeServices(
      'east',
      service(global, { ports: [{ name: 'n7', port: 80, protocol: 'TCP' }] }),
      [],
      [far],
    ).ports;
    expect(first?.backends.map(({ portNames }) => portNames.length)).toEqual([300_000]);
    // The same pair a hundred thousand times; then what is one too many.
    const same = Array.from({ length: 1000 }, () => ({ addresses: ['10.2.0.1'] }));
    const ports = Array.from({ length: 100 }, () => ({ name: 'http', port: 80, protocol: 'TCP' }));
    const slices = [
      farSlice('west', 'web-1', same, ports),
      farSlice('west', 'web-2', [{ addresses: ['10.2.0.2'] }], ports),
      farSlice('yonder', 'web-1', [{ addresses: ['10.3.0.1'] }], ports),
    ];
    const merged = mergeServices('east', service(global), [], [], slices);
    expect(merged.ports[0]?.backends.map(({ address }) => address)).toEqual(['10.2.0.1', '10.3.0.1']);
  });

  test('are no more than a Service may have, and none of a modest cluster has to go for those of another', () => {
    const many = Array.from({ length: 1000 }, (_, i) => ({ addresses: [`10.2.${i >> 8}.${i & 255}`] }));
    const ports = Array.from({ length: 100 }, (_, i) => ({ name: 'http', port: i + 1, protocol: 'TCP' }));
    const few = many.slice(0, 10).map((_, i) => ({ addresses: [`10.3.0.${i}`] }));
    const merged = mergeServices(
      'east',
      service(global),
      [slice([{ ...ready, addresses: ['10.1.0.1'] }])],
      [],
      [farSlice('aaa', 'web-1', many, ports), farSlice('west', 'web-1', few, ports.slice(0, 1))],
    );
    const of = (cluster: string) => merged.ports[0]?.backends.filter((one) => one.cluster === cluster).length;
    expect({ aaa: of('aaa'), east: of('east'), west: of('west') }).toEqual({ aaa: 16_373, east: 1, west: 10 });
  });

  test('without a name join the port without a name', () => {
    const ports = [{ name: '', port: 80, protocol: 'TCP' }];
    const slices = [slice([{ addresses: ['10.1.0.1'], ...ready }], ports)];
    const far = remote('west', { '10.2.0.1': { '': { protocol: 'TCP', port: 8080 } } });
    expect(shown(service(global, { ports }), slices, [far])).toEqual([['east 10.1.0.1:80', 'west 10.2.0.1:8080']]);
  });

  test.each([
    { state: 'ready', conditions: ready, expected: ['east 10.1.0.1:8080'] },
    { state: 'draining', conditions: draining, expected: ['east 10.1.0.1:8080 terminating'] },
    { state: 'not ready', conditions: { ready: false, serving: true, terminating: false }, expected: [] },
    { state: 'stopped', conditions: { ready: false, serving: false, terminating: true }, expected: [] },
    {
      state: 'published though they end and serve no more',
      conditions: { ready: true, serving: false, terminating: true },
      expected: ['east 10.1.0.1:8080 terminating'],
    },
    {
      state: 'ready though it ends',
      conditions: { ready: true, serving: true, terminating: true },
      expected: ['east 10.1.0.1:8080 terminating'],
    },
  ])('that are $state count as $expected', ({ conditions, expected }) => {
    expect(shown(service(), [slice([{ addresses: ['10.1.0.1'], ...conditions }])], [])).toEqual([expected]);
  });

  test('told by two slices are one, and active when one says so', () => {
    const slices = [
      slice([{ addresses: ['10.1.0.1'], ...draining }], undefined, 'web-1'),
      slice([{ addresses: ['10.1.0.1'], ...ready }], undefined, 'web-2'),
    ];
    expect(shown(service(), slices, [])).toEqual([['east 10.1.0.1:8080']]);
    expect(shown(service(), slices.toReversed(), [])).toEqual([['east 10.1.0.1:8080']]);
  });

  test('of equal addresses in two clusters count once, for the own one', () => {
    expect(shown(service(global), [own], [remote('west', { '10.1.0.1': http() })])).toEqual([['east 10.1.0.1:8080']]);
  });
});

describe('selection', () => {
  const make = (local: readonly ('a' | 't')[], far: number) => {
    const endpoints = local.map((state, i) => ({
      addresses: [`10.1.0.${i + 1}`],
      ...(state === 'a' ? ready : draining),
    }));
    const backends = Object.fromEntries(Array.from({ length: far }, (_, i) => [`10.2.0.${i + 1}`, http()]));
    return (
      mergeServices('east', service(global), [slice(endpoints)], [remote('west', backends)]).ports[0]?.backends ?? []
    );
  };
  const count = (chosen: readonly { readonly remote: boolean }[]): string =>
    `${chosen.filter(({ remote }) => !remote).length} local, ${chosen.filter(({ remote }) => remote).length} remote`;

  test.each([
    { affinity: 'none', local: ['a'], far: 2, expected: '1 local, 2 remote' },
    { affinity: 'none', local: [], far: 2, expected: '0 local, 2 remote' },
    { affinity: 'local', local: ['a', 't'], far: 2, expected: '2 local, 0 remote' },
    { affinity: 'local', local: ['t'], far: 2, expected: '1 local, 2 remote' },
    { affinity: 'local', local: [], far: 2, expected: '0 local, 2 remote' },
    { affinity: 'local', local: ['t'], far: 0, expected: '1 local, 0 remote' },
    { affinity: 'remote', local: ['a'], far: 2, expected: '0 local, 2 remote' },
    { affinity: 'remote', local: ['a', 't'], far: 0, expected: '2 local, 0 remote' },
    { affinity: 'remote', local: ['t'], far: 0, expected: '1 local, 0 remote' },
  ] as const)(
    'with affinity $affinity takes of $local and $far remote ones $expected',
    ({ affinity, local, far, expected }) => {
      expect(count(selectBackends(make(local, far), { global: true, affinity }))).toBe(expected);
    },
  );

  test('of a Service that is not global takes local ones, whatever the affinity says', () => {
    expect(count(selectBackends(make(['a'], 2), { global: false, affinity: 'remote' }))).toBe('1 local, 0 remote');
  });

  test('with traffic policy Local takes those of the node, and those without a node', () => {
    const endpoints = [
      { addresses: ['10.1.0.1'], ...ready, nodeName: 'e1' },
      { addresses: ['10.1.0.2'], ...ready, nodeName: 'e2' },
    ];
    const merged = mergeServices('east', service(global), [slice(endpoints)], [remote('west', { '10.2.0.1': http() })]);
    const rule = { global: true, affinity: 'none', onlyNode: 'e1' } as const;
    expect(selectBackends(merged.ports[0]?.backends ?? [], rule).map(({ address }) => address)).toEqual([
      '10.1.0.1',
      '10.2.0.1',
    ]);
  });
});

describe('the table of services', () => {
  test('remembers what remote clusters offer until a local Service uses it', () => {
    const table = new ServiceTable({ ownCluster: 'east' });
    table.remote('west').upsert(remote('west', { '10.2.0.1': http() }));
    expect(table.get('shop/web')).toBeUndefined();
    expect([...table.keys()]).toEqual([]);
    table.local().upsertService(service(global));
    expect(table.get('shop/web')?.ports[0]?.backends).toHaveLength(1);
    expect([...table.offeredBy('west')]).toHaveLength(1);
  });

  test('names the services whose backends may have changed, and only on a change', () => {
    const table = new ServiceTable({ ownCluster: 'east' });
    const local = table.local();
    const west = table.remote('west');
    local.upsertService(service(global));
    local.upsertEndpoints(slice([{ addresses: ['10.1.0.1'], ...ready }]));
    west.upsert(remote('west', { '10.2.0.1': http() }));
    const { version } = table;
    expect(table.changedSince(0)).toEqual({ version, keys: ['shop/web'] });
    local.upsertService(service(global));
    local.upsertEndpoints(slice([{ addresses: ['10.1.0.1'], ...ready }]));
    west.upsert(remote('west', { '10.2.0.1': http() }));
    local.removeEndpoints('shop/other/other-1');
    west.remove('shop/other');
    expect(table.version).toBe(version);
    west.upsert(remote('west', { '10.2.0.1': http() }, { shared: false }));
    expect(table.changedSince(version)).toEqual({ version: version + 1, keys: ['shop/web'] });
    expect([...table.offeredBy('west')]).toEqual([]);
    local.removeEndpoints('shop/web/web-1');
    expect(table.get('shop/web')?.ports[0]?.backends).toEqual([]);
    local.removeService('shop/web');
    expect(table.get('shop/web')).toBeUndefined();
  });

  test('loses all of a cluster that is drained', () => {
    const table = new ServiceTable({ ownCluster: 'east' });
    table.local().upsertService(service(global));
    table.remote('west').upsert(remote('west', { '10.2.0.1': http() }));
    table.remote('north').upsert(remote('north', { '10.3.0.1': http() }));
    table.remote('west').drain();
    expect(table.get('shop/web')?.ports[0]?.backends.map(({ cluster }) => cluster)).toEqual(['north']);
  });
});
