import { describe, expect, test } from '@jest/globals';
import {
  type NodeRoute,
  changeRoutes,
  overlayGateway,
  reconcileOverlay,
  reconcileRoutes,
} from '../../../tunnel/index.ts';
import { formatPrefix, parsePrefix } from '../../../values/ip/index.ts';
import type { OpenPlace } from './suite.ts';

const device = { protocol: 'vxlan', name: 'isth9', port: 8473, mtu: 1400 } as const;

export function describeTunnel(open: OpenPlace): void {
  describe('the overlay device', () => {
    test('is made, and left alone when it is right', async () => {
      await using place = await open();
      const { network } = place.kernel;
      const made = await reconcileOverlay(network, device);
      expect(made).toMatchObject({
        name: 'isth9',
        kind: 'vxlan',
        mtu: 1400,
        up: true,
        vxlan: { collectMetadata: true, port: 8473 },
      });
      expect(await reconcileOverlay(network, device)).toEqual(made);
    });

    test('keeps its index when only its MTU is wrong, and is replaced when its port is', async () => {
      await using place = await open();
      const { network } = place.kernel;
      const { index } = await reconcileOverlay(network, device);
      expect(await reconcileOverlay(network, { ...device, mtu: 1350 })).toMatchObject({ index, mtu: 1350 });
      const replaced = await reconcileOverlay(network, { ...device, port: 8474 });
      expect(replaced.index).not.toBe(index);
      expect(replaced.vxlan?.port).toBe(8474);
    });

    test('takes the place of a device of that name that is something else', async () => {
      await using place = await open();
      const { network } = place.kernel;
      await network.createLink({ kind: 'veth', name: 'isth9', peer: { name: 'isth9p' } });
      expect(await reconcileOverlay(network, device)).toMatchObject({ kind: 'vxlan', up: true });
    });
  });

  describe('routes of a node', () => {
    test('become what is desired, and are written once', async () => {
      await using place = await open();
      const { network } = place.kernel;
      const { index } = await reconcileOverlay(network, device);
      await network.addAddress({ link: index, address: '172.30.1.2', length: 32 });
      const plain: NodeRoute = { destination: parsePrefix('10.2.0.0/24'), device: 'isth9', mtu: 1400 };
      const sourced: NodeRoute = {
        destination: parsePrefix('10.3.0.0/24'),
        device: 'isth9',
        mtu: 1400,
        source: '172.30.1.2',
      };
      const desired = [plain, sourced];
      expect(await reconcileRoutes(network, desired, { prune: true })).toEqual({ upsert: desired, remove: [] });
      expect(await reconcileRoutes(network, desired, { prune: true })).toEqual({ upsert: [], remove: [] });
      const routes = await network.routes({ protocol: network.protocol });
      expect(
        routes
          .filter(({ gateway }) => gateway === overlayGateway)
          .map((route) => formatPrefix(route.destination))
          .sort(),
      ).toEqual(['10.2.0.0/24', '10.3.0.0/24']);

      expect(await reconcileRoutes(network, [sourced], { prune: false })).toEqual({ upsert: [], remove: [] });
      expect(await reconcileRoutes(network, [sourced], { prune: true })).toEqual({ upsert: [], remove: [plain] });
      expect(await reconcileRoutes(network, [{ ...sourced, mtu: 1300 }], { prune: true })).toMatchObject({
        upsert: [{ mtu: 1300 }],
      });
    });

    test('change one by one as an audit would change them', async () => {
      await using place = await open();
      const { network } = place.kernel;
      await reconcileOverlay(network, device);
      const route = (block: string, mtu = 1400): NodeRoute => ({
        destination: parsePrefix(block),
        device: 'isth9',
        mtu,
      });
      await changeRoutes(network, { upsert: [route('10.2.0.0/24'), route('10.3.0.0/24')], remove: [] });
      await changeRoutes(network, { upsert: [route('10.3.0.0/24', 1300)], remove: [route('10.2.0.0/24')] });
      // What is not there, or went with its device, is no error.
      const gone = { ...route('10.5.0.0/24'), device: 'nowhere' };
      await changeRoutes(network, { upsert: [], remove: [route('10.2.0.0/24'), route('10.4.0.0/24'), gone] });
      expect(await reconcileRoutes(network, [route('10.3.0.0/24', 1300)], { prune: true })).toEqual({
        upsert: [],
        remove: [],
      });
    });

    test('of others are left alone', async () => {
      await using place = await open();
      const { network } = place.kernel;
      const { index } = await reconcileOverlay(network, device);
      const foreign = { destination: parsePrefix('10.9.0.0/24'), link: index, scope: 'link', protocol: 4 } as const;
      await network.replaceRoutes([foreign]);
      await reconcileRoutes(network, [], { prune: true });
      const left = (await network.routes()).map((route) => formatPrefix(route.destination));
      expect(left).toContain('10.9.0.0/24');
    });

    test('into a device that does not exist are refused by name', async () => {
      await using place = await open();
      const route = { destination: parsePrefix('10.2.0.0/24'), device: 'nowhere', mtu: 1400 };
      await expect(reconcileRoutes(place.kernel.network, [route], { prune: true })).rejects.toThrow(
        'Device nowhere of a route does not exist',
      );
    });
  });
}
