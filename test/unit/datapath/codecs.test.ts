import { describe, expect, test } from '@jest/globals';
import { defineLayout, mac, u16, u32, writeAddress } from '../../../datapath/codec/index.ts';
import { decodeEndpoint, endpointCodec } from '../../../datapath/endpoints/index.ts';
import type { EndpointEntry, IpcacheEntry } from '../../../datapath/index.ts';
import { decodeIpcache, ipcacheCodec } from '../../../datapath/ipcache/index.ts';
import type { RowCodec } from '../../../datapath/table/index.ts';
import { hostPrefix, parsePrefix } from '../../../values/ip/index.ts';

function row<E>(codec: RowCodec<E>, entry: E): { readonly key: Buffer; readonly value: Buffer } {
  const key = Buffer.alloc(codec.keySize);
  const value = Buffer.alloc(codec.valueSize);
  codec.writeKey(codec.keyOf(entry), key, 0);
  codec.writeValue(entry, value, 0);
  return { key, value };
}

describe('an ipcache entry', () => {
  test('has the bytes that Cilium writes for the same address', () => {
    // spec: 10.244.1.79 has identity 199472 behind 172.18.0.3, no key.
    const { key, value } = row(ipcacheCodec, {
      prefix: hostPrefix('10.244.1.79'),
      identity: 199_472,
      tunnelEndpoint: '172.18.0.3',
      encryptKey: 0,
    });
    expect(key.toString('hex')).toBe(`40000000000000010af4014f${'00'.repeat(12)}`);
    expect(value.toString('hex')).toBe(`300b0300ac120003${'00'.repeat(12)}00000002`);
  });

  test.each<IpcacheEntry>([
    { prefix: parsePrefix('0.0.0.0/0'), identity: 2, encryptKey: 0 },
    { prefix: parsePrefix('10.1.0.0/24'), identity: 2, tunnelEndpoint: '172.18.0.3', encryptKey: 255 },
    { prefix: hostPrefix('fd00::1'), identity: 65_793, tunnelEndpoint: 'fd01::2', encryptKey: 3 },
    { prefix: hostPrefix('172.18.0.3'), identity: 6, encryptKey: 0, remoteCluster: true },
    { prefix: hostPrefix('10.0.0.1'), identity: 0xff000001, encryptKey: 0 },
  ])('is the same after encoding and decoding: $prefix.address/$prefix.length', (entry) => {
    const { key, value } = row(ipcacheCodec, entry);
    expect(decodeIpcache(key, value)).toEqual(entry);
  });
});

describe('an endpoint entry', () => {
  test.each<EndpointEntry>([
    {
      address: '10.1.0.1',
      link: 12,
      endpointId: 65_535,
      mac: '02:00:00:00:00:11',
      nodeMac: 'fe:ff:00:00:00:12',
      identity: 65_793,
    },
    { address: '172.18.0.3', link: 0, endpointId: 0, mac: '', nodeMac: '', identity: 1, host: true },
    { address: 'fd00::1', link: 3, endpointId: 7, mac: '02:00:00:00:00:11', nodeMac: '', identity: 300 },
  ])('is the same after encoding and decoding: $address', (entry) => {
    const { key, value } = row(endpointCodec, entry);
    expect(decodeEndpoint(key, value)).toEqual(entry);
  });

  test('is refused when its MAC address is none', () => {
    const entry = { address: '10.1.0.1', link: 1, endpointId: 1, mac: 'nonsense', nodeMac: '', identity: 300 };
    expect(() => row(endpointCodec, entry)).toThrow('Not a MAC address: "nonsense"');
  });
});

describe('a layout', () => {
  test('leaves no byte of an earlier value in the buffer it writes to', () => {
    const layout = defineLayout('pair', 12, { first: u16(0), address: mac(4) });
    const into = Buffer.alloc(14, 0xff);
    layout.encode({ first: 1, address: '' }, into, 1);
    expect(into.toString('hex')).toBe(`ff0100${'00'.repeat(10)}ff`);
  });

  test('cannot be declared with a field that ends beyond its struct', () => {
    expect(() => defineLayout('short', 4, { word: u32(1) })).toThrow('short.word ends beyond the 4 bytes');
  });
});

describe('an address in a map', () => {
  test.each([
    { text: '0.0.0.0', hex: '00000000' },
    { text: '255.255.255.255', hex: 'ffffffff' },
    { text: '10.96.0.1', hex: '0a600001' },
    { text: '::1', hex: '00000000000000000000000000000001' },
    { text: '::ffff:10.0.0.1', hex: '0a000001' },
  ])('is written as its bytes: $text', ({ text, hex }) => {
    const into = Buffer.alloc(18, 0xee);
    const family = writeAddress(text, into, 1);
    expect([family, into.toString('hex', 1, 1 + hex.length / 2)]).toEqual([hex.length === 8 ? 4 : 6, hex]);
  });

  test.each([
    '',
    '10',
    '10.0.0',
    '10.0.0.0.0',
    '10.0.0.256',
    '10.0.0.01',
    '10..0.1',
    '10.0.0.1 ',
    'a.b.c.d',
    '1e1.0.0.1',
  ])('is refused when it is none: %j', (text) => {
    expect(() => writeAddress(text, Buffer.alloc(16), 0)).toThrow('Not an IP address');
  });
});
