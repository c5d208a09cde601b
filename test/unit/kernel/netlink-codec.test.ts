import { describe, expect, test } from '@jest/globals';
import type { LinkSpec, Route } from '../../../kernel/index.ts';
import { addressAddition, addressOf } from '../../../kernel/netlink/addresses.ts';
import { linkCreation, linkOf, macBytes } from '../../../kernel/netlink/links.ts';
import { type MessageWriter, messagesOf } from '../../../kernel/netlink/message.ts';
import { neighbourOf, neighbourReplacement } from '../../../kernel/netlink/neighbours.ts';
import { sysctlFile } from '../../../kernel/netlink/linux-network.ts';
import { routeName, routeOf, routeReplacement } from '../../../kernel/netlink/routes.ts';
import { parsePrefix } from '../../../values/ip/index.ts';

/** What the kernel would read: messages that change something have the shape of those that report it. */
function sent<T>(writer: MessageWriter, decode: (message: ReturnType<typeof read>) => T): T {
  return decode(read(writer));
}

function read(writer: MessageWriter): { type: number; flags: number; sequence: number; body: Buffer } {
  const [message] = messagesOf(Buffer.from(writer.finish(1)));
  if (!message) throw new Error('No message');
  return message;
}

describe('netlink messages of rtnetlink', () => {
  test.each<Route>([
    { destination: parsePrefix('10.1.0.0/16'), link: 3, gateway: '10.0.0.1', source: '10.0.0.2', mtu: 1400 },
    { destination: parsePrefix('0.0.0.0/0'), link: 3, gateway: '10.0.0.1', table: 2000 },
    { destination: parsePrefix('fd00::/64'), link: 3, gateway: 'fe80::1', protocol: 7 },
    { destination: parsePrefix('10.1.0.0/16'), link: 3, scope: 'link' },
  ])('a route says what it was given: $destination.address', (route) => {
    expect(sent(routeReplacement(route), routeOf)).toEqual({ table: 254, protocol: 105, scope: 'global', ...route });
  });

  test('a route is named by destination, gateway and device in errors', () => {
    expect(routeName({ destination: parsePrefix('10.1.0.0/16'), link: 3, gateway: '10.0.0.1' })).toBe(
      '10.1.0.0/16 via 10.0.0.1 dev 3',
    );
  });

  test.each<LinkSpec>([
    { kind: 'bridge', name: 'br0', index: 9, mtu: 1500, mac: '02:00:00:00:00:01', up: true, master: 4 },
    { kind: 'dummy', name: 'd0', index: 1, mtu: 68, mac: '02:aa:bb:cc:dd:ee', up: false, master: 0 },
  ])('a link says what it was given: $name', (spec) => {
    expect(sent(linkCreation(spec), linkOf)).toEqual(spec);
  });

  test('a VXLAN device says whether it collects metadata', () => {
    const external = sent(linkCreation({ kind: 'vxlan', name: 'isth0', port: 8472 }), linkOf);
    const fixed = { kind: 'vxlan', name: 'vx7', port: 4789, vni: 7, remote: '192.0.2.2', local: '192.0.2.1' } as const;
    expect(external?.vxlan).toEqual({ collectMetadata: true, port: 8472, vni: 0 });
    expect(sent(linkCreation(fixed), linkOf)?.vxlan).toEqual({ collectMetadata: false, port: 4789, vni: 7 });
  });

  test.each(['10.0.0.1', 'fd00::1'])('an address and a neighbour say what they were given: %s', (address) => {
    const length = address.includes(':') ? 64 : 24;
    const neighbour = { link: 5, address, mac: '02:00:00:00:00:01' };
    expect(sent(addressAddition({ link: 5, address, length }), addressOf)).toEqual({ link: 5, address, length });
    expect(sent(neighbourReplacement(neighbour), neighbourOf)).toEqual(neighbour);
  });

  test.each(['', '02:00', '02:00:00:00:00:0g', '02-00-00-00-00-01'])('%j is no MAC address', (text) => {
    expect(() => macBytes(text)).toThrow(RangeError);
  });

  test('sysctls are paths below net, and nothing else', () => {
    expect(sysctlFile('ipv4.ip_forward')).toBe('/proc/sys/net/ipv4/ip_forward');
    expect(sysctlFile('ipv4/conf/eth0.1/rp_filter')).toBe('/proc/sys/net/ipv4/conf/eth0.1/rp_filter');
    expect(sysctlFile('net.ipv4.ip_forward')).toBe('/proc/sys/net/ipv4/ip_forward');
    expect(() => sysctlFile('../kernel/panic')).toThrow(RangeError);
    expect(() => sysctlFile('/etc/passwd')).toThrow(RangeError);
  });
});
