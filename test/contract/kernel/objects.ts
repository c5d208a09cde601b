import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { type OpenRig, probeObject } from './rig.ts';

const key = Buffer.from([1, 0, 0, 0]);
const value = Buffer.from('0102030405060708', 'hex');

export function describeObjects(open: OpenRig): void {
  describe('objects', () => {
    test('an object has the programs and maps it was compiled with', async () => {
      await using rig = await open();
      using object = await rig.kernel.bpf.load({ path: probeObject });
      expect(object.programs.toSorted()).toEqual(['connects', 'ingress_one', 'ingress_two']);
      expect(object.map('flows').spec).toEqual({
        name: 'flows',
        type: 'lpm-trie',
        keySize: 20,
        valueSize: 8,
        maxEntries: 64,
      });
      expect(object.map('seen').spec).toMatchObject({ type: 'percpu-array', valueSize: 8, maxEntries: 4 });
      expect(() => object.map('nothing')).toThrow(RangeError);
    });

    test('maps can be made larger than they were compiled', async () => {
      await using rig = await open();
      using object = await rig.kernel.bpf.load({ path: probeObject, maxEntries: { table: 1000 } });
      expect(object.map('table').spec.maxEntries).toBe(1000);
    });

    test('options for a map that does not exist, or configuration of another size, are a RangeError', async () => {
      await using rig = await open();
      await expect(rig.kernel.bpf.load({ path: probeObject, maxEntries: { nothing: 1 } })).rejects.toThrow(RangeError);
      await expect(rig.kernel.bpf.load({ path: probeObject, rodata: Buffer.alloc(3) })).rejects.toThrow(RangeError);
    });

    test('without pin directory every object has maps of its own', async () => {
      await using rig = await open();
      using first = await rig.kernel.bpf.load({ path: probeObject });
      using second = await rig.kernel.bpf.load({ path: probeObject });
      first.map('table').update(key, value);
      expect(second.map('table').lookup(key)).toBeUndefined();
    });

    test('pinned maps are taken over with their entries', async () => {
      await using rig = await open();
      const spec = { path: probeObject, pinDirectory: join(rig.pinDirectory, 'node') };
      {
        using first = await rig.kernel.bpf.load(spec);
        first.map('table').update(key, value);
      }
      using second = await rig.kernel.bpf.load(spec);
      expect(second.map('table').lookup(key)).toEqual(value);
    });

    test('a pinned map can be opened by its path, and nothing where nothing is pinned', async () => {
      await using rig = await open();
      const pinDirectory = join(rig.pinDirectory, 'node');
      using object = await rig.kernel.bpf.load({ path: probeObject, pinDirectory });
      object.map('table').update(key, value);
      using pinned = rig.kernel.bpf.openMap(join(pinDirectory, 'table'));
      expect(pinned?.spec).toEqual(object.map('table').spec);
      expect(pinned?.lookup(key)).toEqual(value);
      expect(rig.kernel.bpf.openMap(join(pinDirectory, 'nothing'))).toBeUndefined();
    });

    test('a pinned map of another size is refused by name, and stays as it was', async () => {
      await using rig = await open();
      const spec = { path: probeObject, pinDirectory: join(rig.pinDirectory, 'node') };
      using first = await rig.kernel.bpf.load(spec);
      first.map('table').update(key, value);
      await expect(rig.kernel.bpf.load({ ...spec, maxEntries: { table: 99 } })).rejects.toMatchObject({
        name: 'PinnedMapError',
        code: 'EINVAL',
        path: join(spec.pinDirectory, 'table'),
      });
      expect(first.map('table').lookup(key)).toEqual(value);
    });

    test('a closed object says that it is closed', async () => {
      await using rig = await open();
      const object = await rig.kernel.bpf.load({ path: probeObject });
      object[Symbol.dispose]();
      object[Symbol.dispose]();
      expect(() => object.map('table')).toThrow(TypeError);
    });
  });
}
