import { describe, expect, test } from '@jest/globals';
import {
  containsIp,
  formatIp,
  formatPrefix,
  hostPrefix,
  ipToBytes,
  ipv4HostNumber,
  ipv4ToNumber,
  isIp,
  nthAddress,
  numberToIpv4,
  parseIp,
  parsePrefix,
  prefixesOverlap,
} from '../../../values/ip/index.ts';

test('reads the prefix of one IPv4 address as its number', () => {
  expect(ipv4HostNumber('255.1.0.9/32')).toBe(0xff010009);
  for (const text of ['10.0.0.0/24', '10.0.0.1', '10.0.0/32', '10.0.0.256/32', '::1/32', '/32', '10.0.0.1/132'])
    expect(ipv4HostNumber(text)).toBe(-1);
});

describe('addresses', () => {
  test.each([
    ['10.1.0.4', '10.1.0.4'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['FD00:0:0:0:0:0:0:1', 'fd00::1'],
    ['fd00:0:1:0:0:1:0:0', 'fd00:0:1::1:0:0'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['2001:db8::0.1.2.3', '2001:db8::1:203'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::ffff:a00:1', '10.0.0.1'],
  ])('reads %s as %s', (text, canonical) => {
    expect(parseIp(text)).toBe(canonical);
    expect(formatIp(ipToBytes(text))).toBe(canonical);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '1.2.3.-4',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    'fe80::1%eth0',
    '12345::',
    '1.2.3.4::',
    '::1.2.3.4.5',
    'localhost',
  ])('refuses %j', (text) => {
    expect(isIp(text)).toBe(false);
    expect(() => parseIp(text)).toThrow(RangeError);
  });

  test('turns IPv4 addresses into numbers and back', () => {
    expect(ipv4ToNumber('255.0.0.1')).toBe(0xff000001);
    expect(numberToIpv4(0xff000001)).toBe('255.0.0.1');
    expect(ipv4ToNumber('::ffff:10.0.0.1')).toBe(0x0a000001);
    for (const text of ['::1', '10.0.0', '10.0.0.', '10.0.0.256', '10.0.0.01', '10.0.0.1 ', '10.0.0.1.1', ''])
      expect(() => ipv4ToNumber(text)).toThrow(/Not an IP(v4)? address/);
  });

  test('has 4 or 16 bytes', () => {
    expect(() => formatIp(new Uint8Array(5))).toThrow('An IP address has 4 or 16 bytes, not 5');
  });
});

describe('prefixes', () => {
  test.each(['10.1.0.0/16', '0.0.0.0/0', '10.1.2.3/32', 'fd00::/8', '::/0', '2001:db8::/63'])('reads %s', (text) => {
    expect(formatPrefix(parsePrefix(text))).toBe(text);
  });

  test.each(['10.1.0.0', '10.1.0.0/', '10.1.0.0/33', '10.1.0.0/016', '::/129', '/8', 'x/8', '10.0.0.0/8/8'])(
    'refuses %s',
    (text) => {
      expect(() => parsePrefix(text)).toThrow(RangeError);
    },
  );

  test('refuses host bits, or clears them when told to', () => {
    expect(() => parsePrefix('10.1.2.3/16')).toThrow('has host bits set');
    expect(formatPrefix(parsePrefix('10.1.255.3/17', { strict: false }))).toBe('10.1.128.0/17');
  });

  test('of one address is as long as the address', () => {
    expect(hostPrefix('10.1.0.4')).toEqual({ address: '10.1.0.4', length: 32, family: 4 });
    expect(formatPrefix(hostPrefix('FD00::0'))).toBe('fd00::/128');
  });

  test.each([
    ['10.1.0.0/16', '10.1.255.255', true],
    ['10.1.0.0/16', '10.2.0.0', false],
    ['10.1.0.0/17', '10.1.128.0', false],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '::1', false],
    ['fd00::/9', 'fd7f::1', true],
    ['fd00::/9', 'fd80::1', false],
  ])('%s contains %s: %s', (prefix, address, contains) => {
    expect(containsIp(parsePrefix(prefix), address)).toBe(contains);
  });

  test.each([
    ['10.1.0.0/16', '10.1.5.0/24', true],
    ['10.1.0.0/16', '10.2.0.0/16', false],
    ['10.1.0.0/16', '10.1.0.0/16', true],
    ['0.0.0.0/0', 'fd00::/8', false],
  ])('%s and %s overlap: %s', (a, b, overlap) => {
    expect(prefixesOverlap(parsePrefix(a), parsePrefix(b))).toBe(overlap);
    expect(prefixesOverlap(parsePrefix(b), parsePrefix(a))).toBe(overlap);
  });

  test('counts its addresses from the network address on', () => {
    const block = parsePrefix('10.1.255.0/23', { strict: false });
    expect([0, 1, 255, 256, 511].map((n) => nthAddress(block, n))).toEqual([
      '10.1.254.0',
      '10.1.254.1',
      '10.1.254.255',
      '10.1.255.0',
      '10.1.255.255',
    ]);
    expect(() => nthAddress(block, 512)).toThrow('10.1.254.0/23 has no address number 512');
    expect(() => nthAddress(block, -1)).toThrow(RangeError);
    expect(nthAddress(parsePrefix('fd00::/64'), 2 ** 40)).toBe('fd00::100:0:0');
  });
});
