import { describe, expect, test } from '@jest/globals';
import type { Kernel, Route } from '../../../kernel/index.ts';
import { parsePrefix } from '../../../values/ip/index.ts';
import type { OpenRig } from './rig.ts';

const device = 10;

/** A bridge device that is up and has 10.0.0.1/24. */
async function withDevice(kernel: Kernel): Promise<void> {
  await kernel.network.createLink({ kind: 'bridge', name: 'd0', index: device, up: true });
  await kernel.network.addAddress({ link: device, address: '10.0.0.1', length: 24 });
}

function route(destination: string, more: Partial<Route> = {}): Route {
  return { destination: parsePrefix(destination), link: device, gateway: '10.0.0.2', ...more };
}

async function own(kernel: Kernel): Promise<readonly Route[]> {
  return kernel.network.routes({ protocol: kernel.network.protocol });
}

export function describeRouting(open: OpenRig): void {
  describe('addresses', () => {
    test('an address brings the route to its network', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      expect(await rig.kernel.network.addresses()).toContainEqual({ link: device, address: '10.0.0.1', length: 24 });
      expect(await rig.kernel.network.routes()).toContainEqual({
        destination: parsePrefix('10.0.0.0/24'),
        link: device,
        source: '10.0.0.1',
        table: 254,
        protocol: 2,
        scope: 'link',
      });
    });

    test('adding an address twice, and removing it twice, succeeds', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const address = { link: device, address: '10.0.0.1', length: 24 };
      await rig.kernel.network.addAddress(address);
      expect((await rig.kernel.network.addresses()).filter((other) => other.address === '10.0.0.1')).toHaveLength(1);
      await rig.kernel.network.removeAddress(address);
      await rig.kernel.network.removeAddress(address);
      expect((await rig.kernel.network.addresses()).filter((other) => other.address === '10.0.0.1')).toEqual([]);
      expect(await rig.kernel.network.routes()).toEqual([]);
    });

    test('an address for no device is refused with ENODEV', async () => {
      await using rig = await open();
      const address = { link: 4711, address: '10.0.0.1', length: 24 };
      await expect(rig.kernel.network.addAddress(address)).rejects.toMatchObject({ code: 'ENODEV' });
    });
  });

  describe('routes', () => {
    test('routes are marked as our own and read back as written', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      await rig.kernel.network.replaceRoutes([route('10.1.0.0/16', { mtu: 1400, source: '10.0.0.1' })]);
      expect(await own(rig.kernel)).toEqual([
        {
          destination: parsePrefix('10.1.0.0/16'),
          link: device,
          gateway: '10.0.0.2',
          source: '10.0.0.1',
          mtu: 1400,
          table: 254,
          protocol: rig.kernel.network.protocol,
          scope: 'global',
        },
      ]);
    });

    test('a default route and a route without gateway work as for pods', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      await rig.kernel.network.replaceRoutes([
        { destination: parsePrefix('169.254.1.1/32'), link: device },
        route('0.0.0.0/0', { gateway: '169.254.1.1' }),
      ]);
      const found = (await own(rig.kernel)).toSorted((a, b) => a.destination.length - b.destination.length);
      expect(found).toMatchObject([
        { destination: parsePrefix('0.0.0.0/0'), gateway: '169.254.1.1', scope: 'global' },
        { destination: parsePrefix('169.254.1.1/32'), scope: 'link' },
      ]);
    });

    test('replacing changes a route in place, whatever its device', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      await rig.kernel.network.createLink({ kind: 'bridge', name: 'd1', index: 11, up: true });
      await rig.kernel.network.replaceRoutes([route('10.1.0.0/16')]);
      await rig.kernel.network.replaceRoutes([{ destination: parsePrefix('10.1.0.0/16'), link: 11 }]);
      await rig.kernel.network.replaceRoutes([{ destination: parsePrefix('10.1.0.0/16'), link: 11 }]);
      expect(await own(rig.kernel)).toMatchObject([{ destination: parsePrefix('10.1.0.0/16'), link: 11 }]);
    });

    test('IPv6 addresses and routes work likewise', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const { network } = rig.kernel;
      await network.addAddress({ link: device, address: 'fd00::1', length: 64 });
      const remote = { destination: parsePrefix('fd00:1::/48'), link: device, gateway: 'fd00::2', mtu: 1400 };
      await network.replaceRoutes([remote, { destination: parsePrefix('fd00:2::/48'), link: device }]);
      await network.replaceNeighbours([{ link: device, address: 'fd00::2', mac: '02:00:00:00:00:02' }]);
      expect(await network.addresses()).toContainEqual({ link: device, address: 'fd00::1', length: 64 });
      expect(await network.neighbours()).toHaveLength(1);
      const found = (await network.routes()).filter(({ destination }) => destination.family === 6);
      expect(found.toSorted((a, b) => a.destination.address.localeCompare(b.destination.address))).toEqual([
        { destination: parsePrefix('fd00::/64'), link: device, table: 254, protocol: 2, scope: 'global' },
        { ...remote, table: 254, protocol: network.protocol, scope: 'global' },
        { destination: parsePrefix('fd00:2::/48'), link: device, table: 254, protocol: 105, scope: 'global' },
      ]);
      await network.removeRoutes(found);
      await network.removeAddress({ link: device, address: 'fd00::1', length: 64 });
      expect((await network.routes()).filter(({ destination }) => destination.family === 6)).toEqual([]);
    });

    test('removing routes that are not there succeeds', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      await rig.kernel.network.replaceRoutes([route('10.1.0.0/16'), route('10.2.0.0/16')]);
      await rig.kernel.network.removeRoutes([route('10.1.0.0/16'), route('10.3.0.0/16')]);
      expect(await own(rig.kernel)).toMatchObject([{ destination: parsePrefix('10.2.0.0/16') }]);
    });

    test('removing by protocol leaves the routes of others', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      await rig.kernel.network.replaceRoutes([route('10.1.0.0/16', { protocol: 42 })]);
      await rig.kernel.network.removeRoutes([route('10.1.0.0/16', { protocol: rig.kernel.network.protocol })]);
      expect(await rig.kernel.network.routes({ protocol: 42 })).toHaveLength(1);
    });

    test('tables are kept apart', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      await rig.kernel.network.replaceRoutes([route('10.1.0.0/16', { table: 2000 })]);
      expect(await own(rig.kernel)).toEqual([]);
      expect(await rig.kernel.network.routes({ table: 2000 })).toMatchObject([{ table: 2000 }]);
    });

    test.each<{ readonly why: string; readonly bad: Route; readonly code: string }>([
      { why: 'no such device', bad: { destination: parsePrefix('10.9.0.0/16'), link: 4711 }, code: 'ENODEV' },
      { why: 'a gateway on no device', bad: route('10.9.0.0/16', { link: 4711 }), code: 'ENETUNREACH' },
      { why: 'a gateway out of reach', bad: route('10.9.0.0/16', { gateway: '10.99.0.1' }), code: 'ENETUNREACH' },
      { why: 'a source that is not ours', bad: route('10.9.0.0/16', { source: '10.0.0.77' }), code: 'EINVAL' },
      { why: 'a device that is down', bad: { destination: parsePrefix('10.9.0.0/16'), link: 12 }, code: 'ENETDOWN' },
    ])('of a batch with a route refused for $why the others are in place', async ({ bad, code }) => {
      await using rig = await open();
      await withDevice(rig.kernel);
      await rig.kernel.network.createLink({ kind: 'bridge', name: 'down', index: 12 });
      const batch = [route('10.1.0.0/16'), bad, route('10.2.0.0/16')];
      const error: unknown = await rig.kernel.network.replaceRoutes(batch).catch((cause: unknown) => cause);
      expect(error).toMatchObject({ name: 'KernelError', code });
      expect(String(error)).toContain('10.9.0.0/16');
      expect(await own(rig.kernel)).toHaveLength(2);
    });

    test('more routes than fit one send are all set and all removed', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const many = Array.from({ length: 600 }, (_, i) => route(`10.${100 + (i >> 8)}.${i & 255}.0/24`));
      await rig.kernel.network.replaceRoutes(many);
      expect(await own(rig.kernel)).toHaveLength(600);
      await rig.kernel.network.removeRoutes(many);
      expect(await own(rig.kernel)).toEqual([]);
    });

    test('routes and neighbours go when their device goes down, and its network returns with it', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const { network } = rig.kernel;
      await network.replaceRoutes([route('10.1.0.0/16')]);
      await network.replaceNeighbours([{ link: device, address: '10.0.0.9', mac: '02:00:00:00:00:09' }]);
      await network.changeLink(device, { up: false });
      expect(await network.routes()).toEqual([]);
      expect(await network.neighbours()).toEqual([]);
      await network.changeLink(device, { up: true });
      expect(await network.routes()).toMatchObject([{ destination: parsePrefix('10.0.0.0/24'), protocol: 2 }]);
    });
  });

  describe('neighbours', () => {
    test('neighbours are set, changed and removed', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const { network } = rig.kernel;
      const neighbour = { link: device, address: '169.254.1.1', mac: '02:00:00:00:00:09' };
      await network.replaceNeighbours([neighbour]);
      await network.replaceNeighbours([{ ...neighbour, mac: '02:00:00:00:00:0a' }]);
      expect(await network.neighbours()).toEqual([{ ...neighbour, mac: '02:00:00:00:00:0a' }]);
      await network.removeNeighbours([neighbour]);
      await network.removeNeighbours([neighbour]);
      expect(await network.neighbours()).toEqual([]);
    });

    test('a neighbour on no device is refused with ENODEV', async () => {
      await using rig = await open();
      const neighbour = { link: 4711, address: '169.254.1.1', mac: '02:00:00:00:00:09' };
      await expect(rig.kernel.network.replaceNeighbours([neighbour])).rejects.toMatchObject({ code: 'ENODEV' });
    });
  });

  describe('state as text', () => {
    test('a namespace is printed as sorted lines', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const { network } = rig.kernel;
      await network.setSysctl('ipv4/ip_forward', '1');
      await network.changeLink(device, { mac: '02:00:00:00:00:01' });
      await network.replaceRoutes([route('10.1.0.0/16', { mtu: 1400 }), route('0.0.0.0/0')]);
      await network.replaceNeighbours([{ link: device, address: '10.0.0.2', mac: '02:00:00:00:00:02' }]);
      expect(await rig.kernel.describe()).toBe(
        [
          'link d0: index 10 mtu 1500 state up bridge lladdr 02:00:00:00:00:01',
          'link lo: index 1 mtu 65536 state down lladdr 00:00:00:00:00:00',
          'address 10.0.0.1/24 dev d0',
          'route 10.0.0.0/24 dev d0 proto 2 scope link src 10.0.0.1',
          'route 10.1.0.0/16 via 10.0.0.2 dev d0 proto 105 mtu 1400',
          'route default via 10.0.0.2 dev d0 proto 105',
          'neigh 10.0.0.2 dev d0 lladdr 02:00:00:00:00:02 permanent',
        ].join('\n'),
      );
    });
  });
}
