import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readBtf } from '../../../kernel/index.ts';

const object = new URL('../../fixtures/bpf/probe.bpf.o', import.meta.url).pathname;

describe('what a compiled object says about itself', () => {
  const layout = readBtf(object);

  test('members of anonymous unions stand where they lie in the struct', () => {
    expect(layout.structs.get('flow_key')).toEqual({
      name: 'flow_key',
      size: 20,
      members: [
        { name: 'prefix_length', offset: 0, size: 4 },
        { name: 'address4', offset: 4, size: 4 },
        { name: 'address6', offset: 4, size: 16 },
      ],
    });
  });

  test('bit fields have the bytes they touch', () => {
    expect(layout.structs.get('flow_value')?.members).toEqual([
      { name: 'identity', offset: 0, size: 4 },
      { name: 'port', offset: 4, size: 2 },
      { name: 'flag', offset: 6, size: 1 },
      { name: 'kind', offset: 6, size: 1 },
      { name: 'pad', offset: 7, size: 1 },
    ]);
  });

  test('maps have type, sizes and number of entries', () => {
    expect([...layout.maps.values()].toSorted((a, b) => a.name.localeCompare(b.name))).toEqual([
      { name: 'flows', type: 'lpm-trie', keySize: 20, valueSize: 8, maxEntries: 64 },
      { name: 'seen', type: 'percpu-array', keySize: 4, valueSize: 8, maxEntries: 4 },
      { name: 'slots', type: 'array', keySize: 4, valueSize: 8, maxEntries: 4 },
      { name: 'table', type: 'hash', keySize: 4, valueSize: 8, maxEntries: 16 },
    ]);
  });

  test('programs have a section', () => {
    expect(layout.programs).toEqual([
      { name: 'ingress_one', section: 'tc' },
      { name: 'ingress_two', section: 'tc' },
      { name: 'connects', section: 'cgroup/connect4' },
    ]);
  });

  test('configuration has its initial bytes and the place of each variable', () => {
    expect(layout.rodata?.variables).toEqual(
      new Map([
        ['config_slot', { name: 'config_slot', offset: 0, size: 4 }],
        ['config_value', { name: 'config_value', offset: 8, size: 8 }],
      ]),
    );
    expect(layout.rodata?.bytes.readBigUInt64LE(8)).toBe(7n);
  });

  test('other files are refused by name', () => {
    expect(() => readBtf(new URL(import.meta.url).pathname)).toThrow(/is no little-endian eBPF object/);
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-btf-'));
    try {
      const path = join(folder, 'cut.o');
      writeFileSync(path, Buffer.from(readFileSync(object)).fill('.XYZ', readFileSync(object).indexOf('.BTF\0')));
      expect(() => readBtf(path)).toThrow(RangeError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
