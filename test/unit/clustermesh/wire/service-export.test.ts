import { describe, expect, test } from '@jest/globals';
import {
  InvalidRecordError,
  type RemoteOrigin,
  type ServiceExportRecord,
  checkClusterConfig,
  decodeServiceExport,
  encodeServiceExport,
  exportedForms,
} from '../../../../clustermesh/index.ts';

const origin: RemoteOrigin = { cluster: 'cluster3', clusterId: 3 };

/** The example of the contract (kvstore-schema §8). */
const example: ServiceExportRecord = {
  cluster: 'cluster3',
  name: 'rebel-base',
  namespace: 'shop',
  annotations: { team: 'red' },
  labels: { tier: 'gold' },
  exportCreationMs: Date.UTC(2026, 0, 15, 10, 30),
  ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
  type: 'ClusterSetIP',
  sessionAffinity: 'None',
  ipFamilies: ['IPv4'],
  internalTrafficPolicy: 'Cluster',
};
const exampleText =
  '{"cluster":"cluster3","name":"rebel-base","namespace":"shop","annotations":{"team":"red"},"labels":{"tier":"gold"},"Labels":{"tier":"gold"},"Annotations":{"team":"red"},"exportCreationTimestamp":"2026-01-15T10:30:00Z","ports":[{"name":"http","protocol":"TCP","port":80}],"type":"ClusterSetIP","sessionAffinity":"None","ipFamilies":["IPv4"],"internalTrafficPolicy":"Cluster"}';

function read(change: Record<string, unknown>, suffix = 'shop/rebel-base'): ServiceExportRecord {
  return decodeServiceExport(suffix, JSON.stringify({ ...(JSON.parse(exampleText) as object), ...change }), origin);
}

describe('A service export', () => {
  test('is the text of the contract', () => {
    expect(encodeServiceExport(example)).toBe(exampleText);
    expect(decodeServiceExport('shop/rebel-base', exampleText, origin)).toEqual(example);
  });

  test('keeps every member', () => {
    const full: ServiceExportRecord = {
      ...example,
      ports: [{ port: 53 }, { name: 'h', protocol: 'UDP', appProtocol: 'kubernetes.io/h2c', port: 443 }],
      type: 'Headless',
      sessionAffinity: 'ClientIP',
      sessionAffinityTimeoutSeconds: 3600,
      ipFamilies: ['IPv6', 'IPv4'],
      internalTrafficPolicy: 'Local',
      trafficDistribution: 'PreferSameZone',
    };
    expect(decodeServiceExport('shop/rebel-base', encodeServiceExport(full), origin)).toEqual(full);
  });

  test.each([
    { when: 'only an old one wrote it', labels: undefined, capital: { a: '1' }, expected: { a: '1' } },
    { when: 'the new one is empty', labels: {}, capital: { a: '1' }, expected: { a: '1' } },
    { when: 'both are there', labels: { a: '2' }, capital: { a: '1' }, expected: { a: '2' } },
    { when: 'neither is', labels: undefined, capital: undefined, expected: {} },
  ])('has the labels of the right spelling when $when', ({ labels, capital, expected }) => {
    expect(read({ labels, Labels: capital }).labels).toEqual(expected);
  });

  test.each([
    { change: { cluster: '' }, field: 'cluster' },
    { change: { cluster: 'west' }, field: 'cluster' },
    { change: { namespace: 'mail' }, field: 'name' },
    { change: { exportCreationTimestamp: null }, field: 'exportCreationTimestamp' },
    { change: { exportCreationTimestamp: 'yesterday' }, field: 'exportCreationTimestamp' },
    { change: { type: 'ClusterIP' }, field: 'type' },
    { change: { type: '' }, field: 'type' },
    { change: { sessionAffinity: '' }, field: 'sessionAffinity' },
    { change: { ipFamilies: ['IPv4', 'IPv5'] }, field: 'ipFamilies[1]' },
    { change: { internalTrafficPolicy: 'Node' }, field: 'internalTrafficPolicy' },
    { change: { trafficDistribution: 'Far' }, field: 'trafficDistribution' },
    { change: { ports: [{ port: 65_536 }] }, field: 'ports[0].port' },
  ])('is refused for $field in $change', ({ change, field }) => {
    expect(() => read(change)).toThrow(expect.objectContaining({ constructor: InvalidRecordError, field }));
  });
});

test.each([
  { mode: undefined, services: true, endpointSlices: false },
  { mode: 'services-and-endpointslices', services: true, endpointSlices: true },
  { mode: 'endpointslices-only', services: false, endpointSlices: true },
])('A cluster that says $mode exports services: $services, EndpointSlices: $endpointSlices', ({ mode, ...forms }) => {
  const config = { id: 3, syncedCanaries: true, cached: false, ...(mode ? { endpointSlicesExportMode: mode } : {}) };
  expect(exportedForms(config)).toEqual(forms);
  checkClusterConfig('west', config, { clusterId: 1 });
});

test('A cluster that exports in a way nobody knows is refused', () => {
  const config = { id: 3, syncedCanaries: true, cached: false, endpointSlicesExportMode: 'both' };
  expect(() => checkClusterConfig('west', config, { clusterId: 1 })).toThrow(/endpointSlicesExportMode.*"both"/);
});
