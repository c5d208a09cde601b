import { describe, expect, test } from '@jest/globals';
import type { BpfMap, BpfMapSpec } from '../../../kernel/index.ts';
import type { OpenRig } from './rig.ts';

const table: BpfMapSpec = { name: 'table', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 5000 };
const trie: BpfMapSpec = { name: 'trie', type: 'lpm-trie', keySize: 8, valueSize: 4, maxEntries: 100 };

/** 32 bits in host order. */
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

/** Key of the trie: `10.1.0.0/16`. */
function prefix(text: string): Buffer {
  const [address = '', length] = text.split('/');
  return Buffer.concat([u32(Number(length)), Buffer.from(address.split('.').map(Number))]);
}

async function dumped(map: BpfMap): Promise<Map<string, string>> {
  const entries = new Map<string, string>();
  await map.dump((key, value) => {
    entries.set(Buffer.from(key).toString('hex'), Buffer.from(value).toString('hex'));
  });
  return entries;
}

export function describeMaps(open: OpenRig): void {
  describe('hash maps', () => {
    test('an entry is written, read, replaced and deleted', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(table);
      expect(map.lookup(u32(1))).toBeUndefined();
      map.update(u32(1), u64(10));
      map.update(u32(1), u64(11));
      expect(map.lookup(u32(1))).toEqual(u64(11));
      expect([map.delete(u32(1)), map.delete(u32(1))]).toEqual([true, false]);
    });

    test('what is returned, and what was given, is a copy', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(table);
      const value = u64(10);
      map.update(u32(1), value);
      value.fill(0xff);
      map.lookup(u32(1))?.fill(0xff);
      expect(map.lookup(u32(1))).toEqual(u64(10));
    });

    test('batches larger than one system call are written, dumped once each, and deleted', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(table);
      const count = 2500;
      const keys = Buffer.concat(Array.from({ length: count }, (_, i) => u32(i)));
      const values = Buffer.concat(Array.from({ length: count }, (_, i) => u64(i * 2)));
      await map.updateBatch(keys, values, count);
      const seen: number[] = [];
      await map.dump((key, value) => {
        expect(Buffer.from(value).readUInt32LE(0)).toBe(Buffer.from(key).readUInt32LE(0) * 2);
        seen.push(Buffer.from(key).readUInt32LE(0));
      });
      expect(seen.toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
      await map.deleteBatch(keys, count);
      expect(await dumped(map)).toEqual(new Map());
    });

    test('deleting a batch passes over keys that are not there', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(table);
      for (const i of [2, 4, 6]) map.update(u32(i), u64(i));
      await map.deleteBatch(Buffer.concat([1, 2, 3, 4, 5].map(u32)), 5);
      expect(await dumped(map)).toEqual(new Map([[u32(6).toString('hex'), u64(6).toString('hex')]]));
    });

    test('an empty batch and an empty dump do nothing', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(table);
      await map.updateBatch(Buffer.alloc(0), Buffer.alloc(0), 0);
      await map.deleteBatch(Buffer.alloc(0), 0);
      expect(await dumped(map)).toEqual(new Map());
    });

    test('a full map refuses new keys with E2BIG and still replaces', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap({ ...table, maxEntries: 4 });
      for (const i of [1, 2, 3, 4]) map.update(u32(i), u64(i));
      expect(() => map.update(u32(5), u64(5))).toThrow(expect.objectContaining({ name: 'KernelError', code: 'E2BIG' }));
      map.update(u32(4), u64(44));
      expect(map.lookup(u32(4))).toEqual(u64(44));
      await expect(map.updateBatch(u32(9), u64(9), 1)).rejects.toMatchObject({ code: 'E2BIG' });
    });

    test('keys and values of wrong size are refused before the kernel sees them', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(table);
      expect(() => map.update(Buffer.alloc(3), u64(1))).toThrow(RangeError);
      expect(() => map.update(u32(1), Buffer.alloc(4))).toThrow(RangeError);
      expect(() => map.lookup(Buffer.alloc(5))).toThrow(RangeError);
      await expect(map.updateBatch(u32(1), u64(1), 2)).rejects.toThrow(RangeError);
      await expect(map.deleteBatch(u32(1), 2)).rejects.toThrow(RangeError);
    });

    test('a closed map says that it is closed', async () => {
      await using rig = await open();
      const map = rig.kernel.bpf.createMap(table);
      map[Symbol.dispose]();
      map[Symbol.dispose]();
      expect(() => map.lookup(u32(1))).toThrow(TypeError);
    });
  });

  describe('LRU maps', () => {
    test('a full one makes room', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap({ ...table, type: 'lru-hash', maxEntries: 64 });
      for (let i = 0; i < 500; i++) map.update(u32(i), u64(i));
      const { size } = await dumped(map);
      expect(size).toBeLessThanOrEqual(64);
      expect(map.lookup(u32(499))).toEqual(u64(499));
    });
  });

  describe('LPM maps', () => {
    test('the longest prefix wins', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(trie);
      const prefixes = ['0.0.0.0/0', '10.0.0.0/8', '10.1.0.0/16', '10.1.128.0/17', '10.1.2.3/32'];
      for (const [i, text] of prefixes.entries()) map.update(prefix(text), u32(i));
      const match = (address: string): number | undefined => {
        const value = map.lookup(prefix(`${address}/32`));
        return value && Buffer.from(value).readUInt32LE(0);
      };
      expect(['11.0.0.1', '10.2.0.1', '10.1.2.4', '10.1.200.1', '10.1.2.3'].map(match)).toEqual([0, 1, 2, 3, 4]);
    });

    test('a look-up with a short prefix sees no longer ones', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(trie);
      map.update(prefix('10.0.0.0/8'), u32(8));
      map.update(prefix('10.1.0.0/16'), u32(16));
      expect(map.lookup(prefix('10.1.0.0/12'))).toEqual(u32(8));
      expect(map.lookup(prefix('10.1.0.0/16'))).toEqual(u32(16));
      expect(map.lookup(prefix('12.0.0.0/32'))).toBeUndefined();
    });

    test('deleting takes exactly one prefix, and the next longer one answers', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(trie);
      map.update(prefix('10.0.0.0/8'), u32(8));
      map.update(prefix('10.1.0.0/16'), u32(16));
      expect(map.delete(prefix('10.1.0.0/15'))).toBe(false);
      expect(map.delete(prefix('10.1.0.0/16'))).toBe(true);
      expect(map.lookup(prefix('10.1.0.0/32'))).toEqual(u32(8));
    });

    test('keys are dumped as they were written', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(trie);
      const texts = ['10.0.0.0/8', '10.1.0.0/16', '10.1.1.0/24', '192.0.2.1/32'];
      await map.updateBatch(Buffer.concat(texts.map(prefix)), Buffer.concat(texts.map((_, i) => u32(i))), 4);
      expect([...(await dumped(map)).keys()].toSorted()).toEqual(
        texts.map((text) => prefix(text).toString('hex')).toSorted(),
      );
      await map.deleteBatch(Buffer.concat(texts.map(prefix)), 4);
      expect(await dumped(map)).toEqual(new Map());
    });

    test('a prefix that is too long is refused with EINVAL and found nowhere', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap(trie);
      expect(() => map.update(prefix('10.0.0.0/33'), u32(1))).toThrow(expect.objectContaining({ code: 'EINVAL' }));
      expect(map.lookup(prefix('10.0.0.0/33'))).toBeUndefined();
    });

    test('a full one refuses with ENOSPC', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap({ ...trie, maxEntries: 2 });
      map.update(prefix('10.0.0.0/8'), u32(1));
      map.update(prefix('11.0.0.0/8'), u32(2));
      expect(() => map.update(prefix('12.0.0.0/8'), u32(3))).toThrow(expect.objectContaining({ code: 'ENOSPC' }));
    });
  });

  describe('arrays', () => {
    test('all elements are there, and none can be deleted', async () => {
      await using rig = await open();
      using map = rig.kernel.bpf.createMap({ name: 'slots', type: 'array', keySize: 4, valueSize: 8, maxEntries: 3 });
      map.update(u32(1), u64(5));
      expect([...(await dumped(map)).values()]).toEqual([u64(0), u64(5), u64(0)].map((value) => value.toString('hex')));
      expect(map.lookup(u32(3))).toBeUndefined();
      expect(() => map.update(u32(3), u64(1))).toThrow(expect.objectContaining({ code: 'E2BIG' }));
      expect(() => map.delete(u32(1))).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    });

    test('a per-CPU element reads as written', async () => {
      await using rig = await open();
      const spec: BpfMapSpec = { name: 'seen', type: 'percpu-array', keySize: 4, valueSize: 16, maxEntries: 2 };
      using map = rig.kernel.bpf.createMap(spec);
      map.update(u32(1), Buffer.concat([u64(3), u64(4)]));
      expect(map.lookup(u32(1))).toEqual(Buffer.concat([u64(3), u64(4)]));
      expect((await dumped(map)).size).toBe(2);
    });
  });

  describe('sizes', () => {
    test.each<BpfMapSpec>([
      { ...table, maxEntries: 0 },
      { ...trie, keySize: 4 },
      { name: 'slots', type: 'array', keySize: 8, valueSize: 8, maxEntries: 3 },
    ])('a map the kernel cannot have is refused with EINVAL: $type of $keySize, $maxEntries', async (spec) => {
      await using rig = await open();
      expect(() => rig.kernel.bpf.createMap(spec)).toThrow(expect.objectContaining({ code: 'EINVAL' }));
    });
  });
}
