import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import {
  type EndpointSliceRecord,
  InvalidRecordError,
  type RemoteOrigin,
  decodeEndpointSlice,
  encodeEndpointSlice,
} from '../../../../clustermesh/index.ts';

const origin: RemoteOrigin = { cluster: 'cluster3', clusterId: 3 };
const suffix = 'shop/web-abc12';

/** The example of the contract (kvstore-schema §16.4) and its bytes before compression. */
const example: EndpointSliceRecord = {
  cluster: 'cluster3',
  clusterId: 3,
  namespace: 'shop',
  name: 'web-abc12',
  labels: { 'kubernetes.io/service-name': 'web' },
  annotations: {},
  addressType: 'IPv4',
  endpoints: [
    {
      addresses: ['10.244.1.79'],
      conditions: { ready: true, serving: true, terminating: false },
      nodeName: 'worker-1',
      zone: 'eu-1a',
    },
  ],
  ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
};
const exampleHex = [
  '0a08636c75737465723310031a0473686f7022097765622d61626331322a210a1a6b756265726e657465732e696f2f736572766963652d6e61',
  '6d6512037765623a044950763442260a0b31302e3234342e312e373912060801100118003208776f726b65722d313a0565752d31614a0e0a04',
  '68747470120354435018903f',
].join('');

/** Every member that a slice may have. */
const full: EndpointSliceRecord = {
  ...example,
  labels: { b: '2', 'a.é': '', 'kubernetes.io/service-name': 'web' },
  annotations: { note: 'ü <&>' },
  addressType: 'IPv6',
  endpoints: [
    {
      addresses: ['fd00::1', 'fd00::2'],
      conditions: { serving: false },
      hostname: 'web-0',
      deprecatedTopology: { rack: '7' },
      nodeName: 'n1',
      zone: 'z1',
      hints: { forZones: ['z1', 'z2'] },
    },
    { addresses: [], hints: { forZones: [] } },
  ],
  ports: [{ name: '', protocol: 'SCTP', port: 0, appProtocol: 'x' }, {}],
};

function failure(value: Uint8Array, key = suffix): { field: string; message: string } {
  try {
    decodeEndpointSlice(key, value, origin);
  } catch (error) {
    if (error instanceof InvalidRecordError) return { field: error.field, message: error.message };
    throw error;
  }
  throw new Error('the value was accepted');
}

function changed(change: Partial<EndpointSliceRecord>): Uint8Array {
  return encodeEndpointSlice({ ...example, ...change });
}

describe('An EndpointSlice record', () => {
  test('is, before compression, the bytes of the contract', () => {
    expect(zstdDecompressSync(encodeEndpointSlice(example)).toString('hex')).toBe(exampleHex);
    expect(decodeEndpointSlice(suffix, zstdCompressSync(Buffer.from(exampleHex, 'hex')), origin)).toEqual(example);
  });

  test('keeps every member, present and empty or absent', () => {
    expect(decodeEndpointSlice(suffix, encodeEndpointSlice(full), origin)).toEqual(full);
  });

  test('is a frame with a checksum, and with its size from 256 bytes on', () => {
    const small = encodeEndpointSlice(example);
    const large = changed({ annotations: { long: 'x'.repeat(300) } });
    // Frame header (RFC 8878 §3.1.1): magic number, then a byte whose bit 2 says checksum, bits 6 and 7 the size's length.
    expect(Buffer.from(small.subarray(0, 5)).toString('hex')).toBe('28b52ffd04');
    expect(large[4] ?? 0).toEqual(0x40 | 0x20 | 0x04);
  });

  test('may miss everything but cluster, namespace, name and address type, and say more than is known', () => {
    const bytes = Buffer.concat([
      zstdDecompressSync(encodeEndpointSlice({ ...example, labels: {}, endpoints: [], ports: [] })),
      // Field 15, a varint; field 16, four bytes.
      Buffer.from([0x78, 0x01, 0x85, 0x01, 1, 2, 3, 4]),
    ]);
    const { labels, endpoints, ports } = decodeEndpointSlice(suffix, zstdCompressSync(bytes), origin);
    expect({ labels, endpoints, ports }).toEqual({ labels: {}, endpoints: [], ports: [] });
  });

  test.each([
    { change: { cluster: '' }, field: 'cluster' },
    { change: { cluster: 'west' }, field: 'cluster' },
    { change: { clusterId: 4 }, field: 'clusterID' },
    { change: { namespace: '' }, field: 'namespace' },
    { change: { namespace: 'mail' }, field: 'name' },
    { change: { name: '' }, field: 'name' },
    { change: { addressType: 'FQDN' as 'IPv4' }, field: 'addressType' },
    { change: { endpoints: [{ addresses: ['fd00::1'] }] }, field: 'endpoints[0].addresses[0]' },
    {
      change: { endpoints: [{ addresses: [] }, { addresses: ['10.0.0.1', 'x'] }] },
      field: 'endpoints[1].addresses[1]',
    },
    {
      change: { addressType: 'IPv6' as const, endpoints: [{ addresses: ['fe80::1%eth0'] }] },
      field: 'endpoints[0].addresses[0]',
    },
    {
      change: { addressType: 'IPv6' as const, endpoints: [{ addresses: ['10.0.0.1'] }] },
      field: 'endpoints[0].addresses[0]',
    },
    { change: { ports: [{ port: 70_000 }] }, field: 'ports[0].port' },
    { change: { ports: [{}, { port: -1 }] }, field: 'ports[1].port' },
    {
      change: {
        endpoints: Array.from({ length: 1000 }, () => ({ addresses: ['10.0.0.1'] })),
        ports: Array.from({ length: 101 }, () => ({})),
      },
      field: 'ports',
    },
  ])('is refused for $field in $change', ({ change, field }) => {
    expect(failure(changed(change)).field).toBe(field);
  });

  const frame = encodeEndpointSlice(full);
  const damaged = Uint8Array.from(frame);
  damaged.set([(damaged.at(-1) ?? 0) ^ 1], damaged.length - 1);
  test.each([
    { what: 'nothing', value: new Uint8Array(0) },
    { what: 'text', value: Buffer.from('{"cluster":"cluster3"}') },
    { what: 'half a frame', value: frame.subarray(0, frame.length >> 1) },
    { what: 'a frame whose checksum is wrong', value: damaged },
    { what: 'a frame and something behind it', value: Buffer.concat([frame, Buffer.from('x')]) },
    { what: 'two frames', value: Buffer.concat([frame, frame]) },
    { what: 'a frame without a message', value: zstdCompressSync(Buffer.from('no message')) },
    { what: 'more than 16 MiB', value: zstdCompressSync(Buffer.alloc(16 * 1024 * 1024 + 1)) },
    {
      what: 'more than 16 MiB that does not say so',
      value: zstdCompressSync(Buffer.alloc(17 * 1024 * 1024), { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } }),
    },
    {
      what: 'more endpoints than a slice may have',
      value: changed({ endpoints: Array.from({ length: 1001 }, () => ({ addresses: [] })) }),
    },
    {
      what: 'more addresses of one endpoint',
      value: changed({ endpoints: [{ addresses: Array.from({ length: 101 }, () => '10.0.0.1') }] }),
    },
    { what: 'more ports', value: changed({ ports: Array.from({ length: 20_001 }, () => ({})) }) },
    {
      what: 'more labels',
      value: changed({ labels: Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`l${i}`, ''])) }),
    },
  ])('is refused when it is $what', ({ value }) => {
    expect(failure(value)).toMatchObject({ field: '', message: expect.stringContaining('shop/web-abc12') });
  });
});
