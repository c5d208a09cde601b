import { describe, expect, test } from '@jest/globals';
import {
  InvalidRecordError,
  type RemoteOrigin,
  checkClusterConfig,
  decodeClusterConfig,
  decodeIdentity,
  decodeIp,
  decodeNode,
  decodeService,
  encodeIp,
  encodeNode,
  ipKey,
  isClusterName,
  nodeKey,
  serviceKey,
} from '../../../../clustermesh/index.ts';

const origin: RemoteOrigin = { cluster: 'cluster3', clusterId: 3 };

function failure(run: () => unknown): { field: string; message: string } {
  try {
    run();
  } catch (error) {
    if (error instanceof InvalidRecordError) return { field: error.field, message: error.message };
    throw error;
  }
  throw new Error('the value was accepted');
}

const node = { Name: 'n1', Cluster: 'cluster3', ClusterID: 3 };
const ip = { IP: '10.0.0.1', ID: 196_700 };
const service = { cluster: 'cluster3', clusterID: 3, namespace: 'shop', name: 'web' };

describe('A node record', () => {
  test('may miss every member but name, cluster and id, and spell them in any case', () => {
    const value = '{"name":"n1","CLUSTER":"cluster3","clusterid":3,"unknown":[],"Labels":null,"IPAddresses":null}';
    expect(decodeNode('n1', value, origin)).toMatchObject({ name: 'n1', clusterId: 3, addresses: [], labels: null });
  });

  test.each([
    { change: { Name: '' }, field: 'Name' },
    { change: { Name: 'other' }, field: 'Name' },
    { change: { Cluster: '' }, field: 'Cluster' },
    { change: { Cluster: 'west' }, field: 'Cluster' },
    { change: { ClusterID: 4 }, field: 'ClusterID' },
    { change: { ClusterID: -1 }, field: 'ClusterID' },
    { change: { ClusterID: 2 ** 32 }, field: 'ClusterID' },
    { change: { ClusterID: '3' }, field: 'ClusterID' },
    { change: { EncryptionKey: 256 }, field: 'EncryptionKey' },
    { change: { EncryptionKey: 1.5 }, field: 'EncryptionKey' },
    { change: { Labels: { a: 1 } }, field: 'Labels["a"]' },
    { change: { IPAddresses: {} }, field: 'IPAddresses' },
    { change: { IPAddresses: [{ Type: 'InternalIP', IP: 'worker-2' }] }, field: 'IPAddresses[0].IP' },
    { change: { IPv4AllocCIDR: { IP: '10.0.0.0', Mask: null } }, field: 'IPv4AllocCIDR.Mask' },
    { change: { IPv4AllocCIDR: { IP: '10.0.0.0', Mask: '//8A/w==' } }, field: 'IPv4AllocCIDR.Mask' },
    { change: { IPv4AllocCIDR: { IP: '10.0.0.0', Mask: '//8=' } }, field: 'IPv4AllocCIDR.Mask' },
    { change: { IPv4HealthIP: '10.0.0' }, field: 'IPv4HealthIP' },
  ])('is refused for $field in $change', ({ change, field }) => {
    const found = failure(() => decodeNode('n1', JSON.stringify({ ...node, ...change }), origin));
    expect(found.field).toBe(field);
    expect(found.message).toMatch(/^Member .+ of n1 must be .+, found .+$/);
  });

  test('of an old release says AddressType', () => {
    const value = JSON.stringify({ ...node, IPAddresses: [{ AddressType: 'InternalIP', IP: '10.9.0.1' }] });
    expect(decodeNode('n1', value, origin).addresses).toEqual([{ type: 'InternalIP', ip: '10.9.0.1' }]);
  });

  test('keeps the order of pod CIDRs within a family', () => {
    const cidrs = [
      { IP: '10.1.0.0', Mask: '//8AAA==' },
      { IP: '10.2.0.0', Mask: '////AA==' },
    ];
    const value = JSON.stringify({ ...node, IPv4AllocCIDR: cidrs[0], IPv4SecondaryAllocCIDRs: [cidrs[1]] });
    const record = decodeNode('n1', value);
    expect(record.podCidrs.map(({ address, length }) => `${address}/${length}`)).toEqual([
      '10.1.0.0/16',
      '10.2.0.0/24',
    ]);
    expect(encodeNode(record)).toContain(
      '"IPv4AllocCIDR":{"IP":"10.1.0.0","Mask":"//8AAA=="},"IPv4SecondaryAllocCIDRs":[{"IP":"10.2.0.0","Mask":"////AA=="}]',
    );
  });
});

describe('An address record', () => {
  test.each([
    { what: 'no address', value: { ...ip, IP: '' }, field: 'IP' },
    { what: 'another address than its key', value: { ...ip, IP: '10.0.0.2' }, field: 'IP' },
    { what: 'an identity of another cluster', value: { ...ip, ID: 5 << 16 }, field: 'ID' },
    { what: 'an identity beyond 24 bits', value: { ...ip, ID: 0x0103_0001 }, field: 'ID' },
    { what: 'a key beyond 8 bits', value: { ...ip, Key: 256 }, field: 'Key' },
    {
      what: 'a port beyond 16 bits',
      value: { ...ip, NamedPorts: [{ Name: 'a', Port: 65_536, Protocol: 'TCP' }] },
      field: 'NamedPorts[0].Port',
    },
    {
      what: 'an unknown protocol',
      value: { ...ip, NamedPorts: [{ Name: 'a', Port: 1, Protocol: 'QUIC' }] },
      field: 'NamedPorts[0].Protocol',
    },
  ])('with $what is refused', ({ value, field }) => {
    expect(failure(() => decodeIp('10.0.0.1', JSON.stringify(value), origin)).field).toBe(field);
  });

  test.each([0, 1, 2, 255, 3 << 16, (4 << 16) - 1])('may carry identity %d', (ID) => {
    expect(decodeIp('10.0.0.1', JSON.stringify({ ...ip, ID }), origin).identity).toBe(ID);
  });

  test('of a block has the length in its key and the mask in its value', () => {
    const value = '{"IP":"10.9.0.0","Mask":"//8AAA==","HostIP":"","ID":2,"Key":0,"Metadata":""}';
    const record = decodeIp('10.9.0.0/16', value, origin);
    expect(record).toMatchObject({ cidr: true, prefix: { address: '10.9.0.0', length: 16 } });
    expect(encodeIp(record)).toBe(value);
    expect(failure(() => decodeIp('10.9.0.0', value)).field).toBe('IP');
  });

  test('of 511 clusters uses 15 bits for the number', () => {
    const wide: RemoteOrigin = { cluster: 'c', clusterId: 300, maxConnectedClusters: 511 };
    expect(decodeIp('10.0.0.1', JSON.stringify({ ...ip, ID: (300 << 15) + 7 }), wide).identity).toBe((300 << 15) + 7);
    expect(failure(() => decodeIp('10.0.0.1', JSON.stringify({ ...ip, ID: 301 << 15 }), wide)).field).toBe('ID');
  });
});

describe('An identity record', () => {
  const good = 'k8s:app=a;k8s:io.cilium.k8s.policy.cluster=cluster3;';
  test.each([
    { what: 'a key that is no number', suffix: 'x', value: good },
    { what: 'a number with a leading zero, which has another key', suffix: '0196700', value: good },
    { what: 'a number out of range', suffix: '131072', value: good },
    { what: 'a reserved number', suffix: '2', value: good },
    { what: 'no labels', suffix: '196700', value: '' },
    { what: 'no cluster label', suffix: '196700', value: 'k8s:app=a;' },
    { what: 'the label of another cluster', suffix: '196700', value: good.replace('cluster3', 'west') },
    {
      what: 'a cluster label of another source',
      suffix: '196700',
      value: 'any:io.cilium.k8s.policy.cluster=cluster3;',
    },
  ])('with $what is refused', ({ suffix, value }) => {
    expect(failure(() => decodeIdentity(suffix, value, origin)).message).toContain('must be');
  });

  test('keeps what is special in labels', () => {
    const value = `${good}k8s:k=a=b:c;`;
    expect(decodeIdentity('196700', value, origin).labels).toContainEqual({ source: 'k8s', key: 'k', value: 'a=b:c' });
  });

  test('has no label of what is reserved, or a node’s own, whichever cluster it is of', () => {
    expect(failure(() => decodeIdentity('196700', `${good}reserved:host=;`, origin))).toMatchObject({
      field: 'reserved:host',
      message: expect.stringContaining('no label of source reserved'),
    });
    expect(decodeIdentity('1', 'reserved:host=;').labels).toEqual([{ source: 'reserved', key: 'host', value: '' }]);
  });
});

describe('A service record', () => {
  test('may be minimal', () => {
    const value =
      '{"name":"echo","namespace":"test","includeExternal":true,"shared":true,"cluster":"cluster2","clusterID":2,' +
      '"backends":{"20.0.0.2":{"tcp":{"Protocol":"TCP","Port":9090}}}}';
    expect(decodeService('test/echo', value, { cluster: 'cluster2', clusterId: 2 })).toMatchObject({
      frontends: {},
      backends: { '20.0.0.2': { tcp: { protocol: 'TCP', port: 9090 } } },
      labels: {},
    });
  });

  test.each([
    { change: { name: '' }, field: 'name' },
    { change: { namespace: 'other' }, field: 'name' },
    { change: { cluster: 'west' }, field: 'cluster' },
    { change: { clusterID: 2 }, field: 'clusterID' },
    { change: { backends: { web: {} } }, field: 'backends' },
    { change: { frontends: { '1.2.3.4': { a: { Port: -1 } } } }, field: 'frontends["1.2.3.4"]["a"].Port' },
    { change: { backends: [] }, field: 'backends' },
    { change: { shared: 'true' }, field: 'shared' },
  ])('is refused for $field in $change', ({ change, field }) => {
    expect(failure(() => decodeService('shop/web', JSON.stringify({ ...service, ...change }), origin)).field).toBe(
      field,
    );
  });
});

describe('A cluster config', () => {
  const key = 'cilium/cluster-config/west';
  const read = (value: string, local = { clusterId: 1 }): void =>
    checkClusterConfig('west', decodeClusterConfig(key, value), local);

  test.each([
    { value: '{"capabilities":{}}', expected: 'from 1 to 255, found 0' },
    { value: '{"id":256}', expected: 'from 1 to 255, found 256' },
    { value: '{"id":1}', expected: 'another id than that of the local cluster' },
    { value: '{"id":2,"capabilities":{"endpointSlicesExportMode":"some"}}', expected: 'endpointSlicesExportMode' },
    { value: 'true', expected: 'an object' },
    { value: '{"id":2', expected: 'a JSON object' },
    { value: '', expected: 'a JSON object' },
    { value: 'null', expected: 'a JSON object' },
    { value: '{"id":"2"}', expected: 'a whole number' },
  ])('$value is refused', ({ value, expected }) => {
    expect(failure(() => read(value)).message).toContain(expected);
  });

  test('of a cluster that counts to 511 must say so', () => {
    const local = { clusterId: 1, maxConnectedClusters: 511 as const };
    const narrow = decodeClusterConfig(key, '{"id":2,"capabilities":{"maxConnectedClusters":255}}');
    expect(failure(() => checkClusterConfig('west', narrow, local)).field).toBe('capabilities.maxConnectedClusters');
    checkClusterConfig('west', { ...narrow, maxConnectedClusters: 511 }, local);
  });
});

test('A long value is shortened in the message', () => {
  const value = JSON.stringify({ ...node, Labels: 'x'.repeat(500) });
  expect(failure(() => decodeNode('n1', value)).message.length).toBeLessThan(200);
});

test('Keys refuse segments that would make another key', () => {
  for (const bad of ['', '.', '..', 'a/b']) {
    expect(() => nodeKey('c', bad)).toThrow(RangeError);
    expect(() => serviceKey('c', bad, 'n')).toThrow(RangeError);
  }
  expect(ipKey('10.0.0.0/8')).toBe('cilium/state/ip/v1/default/10.0.0.0/8');
});

test.each([
  ['a', true],
  ['cluster-001', true],
  ['x'.repeat(32), true],
  ['x'.repeat(33), false],
  ['', false],
  ['-a', false],
  ['a-', false],
  ['A', false],
])('Cluster name %p is valid: %p', (name, valid) => {
  expect(isClusterName(name)).toBe(valid);
});
