import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import type { BpfHook, Kernel } from '../../../kernel/index.ts';
import { type OpenRig, probeObject } from './rig.ts';

const device = 10;
const ingress: BpfHook & { readonly type: 'tc' } = { type: 'tc', link: device, direction: 'ingress' };

async function withDevice(kernel: Kernel): Promise<void> {
  await kernel.network.createLink({ kind: 'bridge', name: 'd0', index: device, up: true });
}

async function programs(kernel: Kernel): Promise<readonly string[]> {
  return (await kernel.describe()).split('\n').filter((line) => line.startsWith('program '));
}

export function describeAttachments(open: OpenRig): void {
  describe('attachments', () => {
    test('a tc program is attached and detached', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      using object = await rig.kernel.bpf.load({ path: probeObject });
      using attachment = await object.attach('ingress_one', ingress);
      expect(attachment.hook).toEqual(ingress);
      expect(await programs(rig.kernel)).toEqual(['program ingress_one tc ingress dev d0']);
      await attachment.detach();
      await attachment.detach();
      expect(await programs(rig.kernel)).toEqual([]);
    });

    test('a pinned attachment is replaced in place by one of the same name', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const spec = { path: probeObject, pinDirectory: join(rig.pinDirectory, 'node') };
      using object = await rig.kernel.bpf.load(spec);
      using _first = await object.attach('ingress_one', ingress, { pinName: 'd0_in' });
      using second = await object.attach('ingress_two', ingress, { pinName: 'd0_in' });
      expect(await programs(rig.kernel)).toEqual(['program ingress_two tc ingress dev d0 pinned d0_in']);
      await second.detach();
      expect(await programs(rig.kernel)).toEqual([]);
    });

    test('a pinned attachment outlives its object, and the next one takes it over', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      const spec = { path: probeObject, pinDirectory: join(rig.pinDirectory, 'node') };
      {
        using object = await rig.kernel.bpf.load(spec);
        using _attachment = await object.attach('ingress_one', ingress, { pinName: 'd0_in' });
      }
      using object = await rig.kernel.bpf.load(spec);
      using attachment = await object.attach('ingress_one', ingress, { pinName: 'd0_in' });
      expect(await programs(rig.kernel)).toHaveLength(1);
      await attachment.detach();
      expect(await programs(rig.kernel)).toEqual([]);
    });

    test('the pin of a device that was deleted does not stand in the way of a new one with its index', async () => {
      await using rig = await open();
      const spec = { path: probeObject, pinDirectory: join(rig.pinDirectory, 'node') };
      using object = await rig.kernel.bpf.load(spec);
      await withDevice(rig.kernel);
      using _first = await object.attach('ingress_one', ingress, { pinName: 'd0_in' });
      await rig.kernel.network.deleteLink('d0');
      expect(await programs(rig.kernel)).toEqual([]);
      await withDevice(rig.kernel);
      using second = await object.attach('ingress_one', ingress, { pinName: 'd0_in' });
      expect(await programs(rig.kernel)).toHaveLength(1);
      await second.detach();
    });

    test('detaching from a device that is gone succeeds', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      using object = await rig.kernel.bpf.load({ path: probeObject });
      using attachment = await object.attach('ingress_one', ingress);
      await rig.kernel.network.deleteLink('d0');
      await attachment.detach();
    });

    test('the two directions of a device are different hooks', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      using object = await rig.kernel.bpf.load({ path: probeObject });
      using _in = await object.attach('ingress_one', ingress);
      using _out = await object.attach('ingress_two', { ...ingress, direction: 'egress' });
      expect(await programs(rig.kernel)).toEqual([
        'program ingress_one tc ingress dev d0',
        'program ingress_two tc egress dev d0',
      ]);
    });

    test('a cgroup program is attached to a directory', async () => {
      await using rig = await open();
      const spec = { path: probeObject, pinDirectory: join(rig.pinDirectory, 'node') };
      using object = await rig.kernel.bpf.load(spec);
      const hook: BpfHook = { type: 'cgroup', path: rig.cgroup, attach: 'connect4' };
      using _first = await object.attach('connects', hook, { pinName: 'connect4' });
      using second = await object.attach('connects', hook, { pinName: 'connect4' });
      expect(await programs(rig.kernel)).toEqual([`program connects cgroup connect4 ${rig.cgroup} pinned connect4`]);
      await second.detach();
      expect(await programs(rig.kernel)).toEqual([]);
    });

    test('a device that is not there is refused with ENODEV', async () => {
      await using rig = await open();
      using object = await rig.kernel.bpf.load({ path: probeObject });
      const attaching = object.attach('ingress_one', { ...ingress, link: 4711 });
      await expect(attaching).rejects.toMatchObject({ name: 'KernelError', code: 'ENODEV' });
    });

    test('unknown programs, and pins without a directory or with a bad name, are a RangeError', async () => {
      await using rig = await open();
      await withDevice(rig.kernel);
      using object = await rig.kernel.bpf.load({ path: probeObject });
      await expect(object.attach('nothing', ingress)).rejects.toThrow(RangeError);
      await expect(object.attach('ingress_one', ingress, { pinName: 'd0_in' })).rejects.toThrow(RangeError);
      using pinning = await rig.kernel.bpf.load({ path: probeObject, pinDirectory: join(rig.pinDirectory, 'node') });
      await expect(pinning.attach('ingress_one', ingress, { pinName: 'd0.in' })).rejects.toThrow(RangeError);
    });
  });
}
