import { describe, expect, test } from '@jest/globals';
import type { LinkSpec } from '../../../kernel/index.ts';
import type { OpenRig } from './rig.ts';

const veth: LinkSpec & { readonly kind: 'veth' } = {
  kind: 'veth',
  name: 'lxc1',
  index: 101,
  mac: '02:00:00:00:01:01',
  mtu: 1400,
  up: true,
  peer: { name: 'eth0', index: 201, mac: '02:00:00:00:02:01', mtu: 1300 },
};
const overlay: LinkSpec = { kind: 'vxlan', name: 'isth0', port: 8472, mtu: 1450, up: true };

export function describeLinks(open: OpenRig): void {
  describe('links', () => {
    test('a namespace begins with a loopback device that is down', async () => {
      await using rig = await open();
      const links = await rig.kernel.network.links();
      expect(links).toEqual([
        { name: 'lo', index: 1, kind: '', mtu: 65536, up: false, mac: '00:00:00:00:00:00', master: 0 },
      ]);
    });

    test('a veth is created with the indexes and addresses asked for, its peer in this namespace', async () => {
      await using rig = await open();
      const created = await rig.kernel.network.createLink(veth);
      expect(created).toEqual({
        name: 'lxc1',
        index: 101,
        kind: 'veth',
        mtu: 1400,
        up: true,
        mac: '02:00:00:00:01:01',
        master: 0,
      });
      expect(await rig.kernel.network.link('eth0')).toMatchObject({ index: 201, mtu: 1300, mac: '02:00:00:00:02:01' });
    });

    test('the peer of a veth can be put into another namespace, and is down there', async () => {
      await using rig = await open();
      const { kernel, netns } = rig.other;
      await rig.kernel.network.createLink({ ...veth, peer: { ...veth.peer, netns } });
      expect(await rig.kernel.network.link('eth0')).toBeUndefined();
      expect(await kernel.network.link('eth0')).toMatchObject({ index: 201, up: false, kind: 'veth' });
    });

    test('deleting one end of a veth deletes the other in its namespace', async () => {
      await using rig = await open();
      const { kernel, netns } = rig.other;
      await rig.kernel.network.createLink({ ...veth, peer: { ...veth.peer, netns } });
      expect(await rig.kernel.network.deleteLink('lxc1')).toBe(true);
      expect(await kernel.network.link('eth0')).toBeUndefined();
    });

    test('deleting a link that is not there says so', async () => {
      await using rig = await open();
      expect(await rig.kernel.network.deleteLink('lxc1')).toBe(false);
    });

    test('creating an equal link again returns the one that is there, unchanged', async () => {
      await using rig = await open();
      const first = await rig.kernel.network.createLink(overlay);
      await rig.kernel.network.changeLink(first.index, { mtu: 1300 });
      expect(await rig.kernel.network.createLink(overlay)).toEqual({ ...first, mtu: 1300 });
    });

    test.each<{ readonly what: string; readonly spec: LinkSpec }>([
      { what: 'of another kind', spec: { kind: 'bridge', name: 'isth0' } },
      { what: 'with another port', spec: { kind: 'vxlan', name: 'isth0', port: 8473 } },
      { what: 'with another index', spec: { ...overlay, index: 77 } },
    ])('a link of the same name $what is refused with EEXIST', async ({ spec }) => {
      await using rig = await open();
      await rig.kernel.network.createLink(overlay);
      await expect(rig.kernel.network.createLink(spec)).rejects.toMatchObject({ name: 'KernelError', code: 'EEXIST' });
    });

    test('an index in use is refused with EEXIST', async () => {
      await using rig = await open();
      await rig.kernel.network.createLink({ kind: 'bridge', name: 'd0', index: 50 });
      await expect(rig.kernel.network.createLink({ kind: 'bridge', name: 'd1', index: 50 })).rejects.toMatchObject({
        code: 'EEXIST',
      });
    });

    test('a second collect-metadata VXLAN device on the same port is refused', async () => {
      await using rig = await open();
      await rig.kernel.network.createLink(overlay);
      await expect(rig.kernel.network.createLink({ ...overlay, name: 'isth1' })).rejects.toMatchObject({
        code: 'EEXIST',
      });
    });

    test('a collect-metadata VXLAN device tells that it is one', async () => {
      await using rig = await open();
      const link = await rig.kernel.network.createLink(overlay);
      expect(link).toMatchObject({ mtu: 1450, up: true, vxlan: { collectMetadata: true, port: 8472, vni: 0 } });
    });

    test('a VXLAN device of one VNI tells its number', async () => {
      await using rig = await open();
      const link = await rig.kernel.network.createLink({
        kind: 'vxlan',
        name: 'vx7',
        port: 4789,
        vni: 7,
        remote: '192.0.2.2',
        local: '192.0.2.1',
      });
      expect(link.vxlan).toEqual({ collectMetadata: false, port: 4789, vni: 7 });
    });

    test('links join a bridge, and leave it when the bridge goes', async () => {
      await using rig = await open();
      const { network } = rig.kernel;
      const bridge = await network.createLink({ kind: 'bridge', name: 'br0' });
      await network.createLink({ ...veth, master: bridge.index });
      expect(await network.link('lxc1')).toMatchObject({ master: bridge.index });
      await network.deleteLink('br0');
      expect(await network.link('lxc1')).toMatchObject({ master: 0 });
    });

    test('a link changes in place', async () => {
      await using rig = await open();
      const { network } = rig.kernel;
      const { index } = await network.createLink({ kind: 'bridge', name: 'd0' });
      await network.changeLink(index, { name: 'd9', mtu: 1280, mac: '02:00:00:00:00:09' });
      await network.changeLink(index, { up: true });
      expect(await network.link('d9')).toMatchObject({ index, mtu: 1280, mac: '02:00:00:00:00:09', up: true });
      expect(await network.link('d0')).toBeUndefined();
    });

    test('changing a link that is not there is refused with ENODEV', async () => {
      await using rig = await open();
      await expect(rig.kernel.network.changeLink(4711, { up: true })).rejects.toMatchObject({ code: 'ENODEV' });
    });

    test('a name that no device can have is a RangeError', async () => {
      await using rig = await open();
      for (const name of ['', 'a name', 'a/b', 'sixteen-letters-'])
        await expect(rig.kernel.network.createLink({ kind: 'bridge', name })).rejects.toThrow(RangeError);
    });
  });
}
