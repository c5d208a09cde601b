import { describe, expect, test } from '@jest/globals';
import {
  InvalidRecordError,
  type LocalEndpointsRecord,
  type LocalServiceRecord,
  type WorkloadRecord,
  decodeCopyReport,
  decodeLocalEndpoints,
  decodeLocalService,
  decodeNamespace,
  decodeNodeAssignment,
  decodeTime,
  decodeWorkload,
  encodeCopyReport,
  encodeLocalEndpoints,
  encodeLocalService,
  encodeNamespace,
  encodeNodeAssignment,
  encodeTime,
  encodeWorkload,
  keyOfCopyReport,
  keyOfLocalEndpoints,
  keyOfLocalService,
  keyOfNamespace,
  keyOfNodeAssignment,
  keyOfWorkload,
} from '../../../../clustermesh/index.ts';
import { parsePrefix } from '../../../../values/ip/index.ts';

const service: LocalServiceRecord = {
  namespace: 'shop',
  name: 'web',
  uid: 'u-1',
  type: 'LoadBalancer',
  clusterIps: ['10.96.0.1', 'fd00::1'],
  headless: false,
  ports: [{ name: 'http', port: 80, protocol: 'TCP', nodePort: 30_080, appProtocol: 'http' }],
  externalIps: ['192.0.2.1'],
  loadBalancerIps: ['198.51.100.7'],
  loadBalancerSourceRanges: ['203.0.113.0/24'],
  internalTrafficPolicy: 'Cluster',
  externalTrafficPolicy: 'Local',
  sessionAffinity: 'ClientIP',
  sessionAffinityTimeoutSeconds: 3_600,
  trafficDistribution: 'PreferClose',
  annotations: { 'service.cilium.io/global': 'true' },
  hasSelector: true,
};

const endpoints: LocalEndpointsRecord = {
  namespace: 'shop',
  service: 'web',
  slice: 'web-abc',
  addressType: 'IPv4',
  ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  endpoints: [
    { addresses: ['10.1.0.5'], ready: true, serving: true, terminating: false, nodeName: 'n1', workload: 'shop/web-1' },
    {
      addresses: ['10.1.0.6'],
      ready: false,
      serving: false,
      terminating: true,
      zone: 'z',
      hostname: 'h',
      hints: ['z'],
    },
  ],
};

const workload: WorkloadRecord = {
  node: 'n1',
  namespace: 'shop',
  name: 'web-1',
  uid: '',
  labels: { app: 'web', '10': 'x', '9': 'y' },
  identity: 0,
  namedPorts: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  serviceAccount: 'sa',
  ips: ['10.1.0.5'],
};

describe('Records of our own', () => {
  test('of services have every member in the documented order, and come back equal', () => {
    const value = encodeLocalService(service);
    expect(keyOfLocalService(service)).toBe('isthmus/v1/services/shop/web');
    expect(value).toBe(
      '{"uid":"u-1","type":"LoadBalancer","clusterIPs":["10.96.0.1","fd00::1"],"ports":[{"name":"http","port":80,' +
        '"protocol":"TCP","nodePort":30080,"appProtocol":"http"}],"externalIPs":["192.0.2.1"],"loadBalancerIPs":' +
        '["198.51.100.7"],"loadBalancerSourceRanges":["203.0.113.0/24"],"internalTrafficPolicy":"Cluster",' +
        '"externalTrafficPolicy":"Local","sessionAffinity":"ClientIP","sessionAffinityTimeoutSeconds":3600,' +
        '"trafficDistribution":"PreferClose","annotations":{"service.cilium.io/global":"true"},"hasSelector":true}',
    );
    expect(decodeLocalService('shop/web', value)).toEqual(service);
  });

  test('of endpoints come back equal', () => {
    expect(keyOfLocalEndpoints(endpoints)).toBe('isthmus/v1/endpoints/shop/web/web-abc');
    expect(decodeLocalEndpoints('shop/web/web-abc', encodeLocalEndpoints(endpoints))).toEqual(endpoints);
  });

  test('of workloads always carry the identity, and come back equal', () => {
    const value = encodeWorkload(workload);
    expect(keyOfWorkload(workload)).toBe('isthmus/v1/workloads/n1/shop/web-1');
    expect(value).toBe(
      '{"labels":{"10":"x","9":"y","app":"web"},"identity":0,"namedPorts":[{"name":"http","port":8080,"protocol":"TCP"}],' +
        '"serviceAccount":"sa","ips":["10.1.0.5"]}',
    );
    expect(decodeWorkload('n1/shop/web-1', value)).toEqual(workload);
  });

  test('of nodes and namespaces come back equal', () => {
    const node = { node: 'n1', podCidrs: [parsePrefix('10.1.0.0/24')], zone: 'z', region: 'r', labels: { a: 'b' } };
    expect(keyOfNodeAssignment(node)).toBe('isthmus/v1/nodes/n1');
    expect(decodeNodeAssignment('n1', encodeNodeAssignment(node))).toEqual(node);
    const namespace = { name: 'shop', labels: {}, annotations: { 'clustermesh.cilium.io/global': 'false' } };
    expect(keyOfNamespace(namespace)).toBe('isthmus/v1/namespaces/shop');
    expect(encodeNamespace({ ...namespace, annotations: {} })).toBe('{}');
    expect(decodeNamespace('shop', encodeNamespace(namespace))).toEqual(namespace);
  });

  test('of copies have every member in the documented order, and come back equal', () => {
    const report = {
      cluster: 'west',
      connected: false,
      synced: true,
      stale: true,
      lastHeartbeatMs: Date.UTC(2026, 0, 15, 10, 30, 0),
      failures: 3,
      lastFailureMs: Date.UTC(2026, 0, 15, 10, 31, 0),
      failure: 'Connection lost',
    };
    const value = encodeCopyReport(report);
    expect(keyOfCopyReport(report)).toBe('isthmus/v1/kvstoremesh/remotes/west');
    expect(value).toBe(
      '{"synced":true,"stale":true,"lastHeartbeat":"2026-01-15T10:30:00Z","failures":3,' +
        '"lastFailure":"2026-01-15T10:31:00Z","failure":"Connection lost"}',
    );
    expect(decodeCopyReport('west', value)).toEqual(report);
    const nothing = { cluster: 'west', connected: false, synced: false, stale: false, failures: 0 };
    expect(decodeCopyReport('west', '{}')).toEqual(nothing);
  });

  test.each([
    { what: 'a time that is none', read: () => decodeCopyReport('west', '{"lastHeartbeat":"yesterday"}') },
    { what: 'a key of too few segments', read: () => decodeWorkload('n1/web-1', '{}') },
    { what: 'a key with an empty segment', read: () => decodeLocalService('/web', '{}') },
    { what: 'an address that is none', read: () => decodeWorkload('n/a/b', '{"ips":["x"]}') },
    { what: 'an identity beyond 32 bits', read: () => decodeWorkload('n/a/b', '{"identity":4294967296}') },
    { what: 'a block with host bits', read: () => decodeNodeAssignment('n', '{"podCIDRs":["10.0.0.1/8"]}') },
    {
      what: 'a condition that is no boolean',
      read: () => decodeLocalEndpoints('a/b/c', '{"endpoints":[{"ready":1}]}'),
    },
  ])('with $what are refused', ({ read }) => {
    expect(read).toThrow(InvalidRecordError);
  });
});

test('Times are RFC 3339 in whole seconds; an offset is understood', () => {
  const ms = Date.UTC(2026, 0, 15, 10, 30, 0, 999);
  expect(encodeTime(ms)).toBe('2026-01-15T10:30:00Z');
  expect(decodeTime('2026-01-15T12:30:00+02:00')).toBe(ms - 999);
  expect(decodeTime('yesterday')).toBeUndefined();
});
