import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import type { Fields, Layout } from '../../../datapath/codec/index.ts';
import { counterLayout, dropReasons, forwardEvents } from '../../../datapath/drops/index.ts';
import { endpointKey, endpointValue } from '../../../datapath/endpoints/index.ts';
import { objectPath } from '../../../datapath/index.ts';
import { ipcacheKey, ipcacheValue } from '../../../datapath/ipcache/index.ts';
import { mapNames, nodeConfig } from '../../../datapath/programs/index.ts';
import { routerCounts, routerCutKey, routerPrefixKey } from '../../../datapath/router/index.ts';
import {
  affinityMatch,
  backendValue,
  revNatValue,
  serviceKey,
  serviceValue,
} from '../../../datapath/services/index.ts';
import { readBtf } from '../../../kernel/index.ts';

const node = readBtf(objectPath('node'));
const router = readBtf(objectPath('router'));

const layouts: readonly {
  readonly layout: Layout<Fields>;
  readonly object: typeof node;
  readonly left?: readonly string[];
}[] = [
  { layout: ipcacheKey, object: node },
  { layout: ipcacheValue, object: node },
  { layout: endpointKey, object: node },
  // Reserved bytes that Cilium has at the end.
  { layout: endpointValue, object: node, left: ['pad2'] },
  { layout: serviceKey, object: node },
  { layout: serviceValue, object: node },
  { layout: backendValue, object: node },
  { layout: revNatValue, object: node },
  { layout: affinityMatch, object: node },
  { layout: counterLayout, object: node },
  { layout: nodeConfig, object: node },
  { layout: routerPrefixKey, object: router },
  { layout: routerCutKey, object: router },
] as readonly { readonly layout: Layout<Fields>; readonly object: typeof node; readonly left?: readonly string[] }[];

/** `prefixLength` → `prefix_length` */
function cName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

describe('a layout has the size and the members of its struct in the compiled object', () => {
  test.each(layouts.map((row) => ({ ...row, name: row.layout.name })))('$name', ({ layout, object, left = [] }) => {
    const struct = object.structs.get(layout.name);
    expect(struct?.size).toBe(layout.size);
    const declared = Object.entries(layout.fields).map(([name, { offset, size }]) => ({
      name: cName(name),
      offset,
      size,
    }));
    expect(declared).toEqual(struct?.members.filter(({ name }) => !left.includes(name)));
  });
});

describe('the compiled object', () => {
  test('has exactly the maps that the drivers open, with names that the kernel keeps whole', () => {
    expect([...node.maps.keys()].sort()).toEqual(Object.values(mapNames).sort());
    for (const name of [...node.maps.keys(), ...router.maps.keys()]) expect(name.length).toBeLessThanOrEqual(15);
  });

  test('has rows of the sizes that the layouts declare', () => {
    const sizes = Object.fromEntries([...node.maps].map(([name, map]) => [name, [map.keySize, map.valueSize]]));
    expect(sizes).toEqual({
      isthmus_ipcache: [24, 24],
      isthmus_lxc: [20, 48],
      isthmus_lb4_svc: [12, 12],
      isthmus_lb4_be: [4, 12],
      isthmus_lb4_rev: [2, 6],
      isthmus_lb4_afm: [8, 1],
      isthmus_lb4_aff: [16, 16],
      isthmus_lb4_rsk: [16, 8],
      isthmus_nat4: [16, 32],
      isthmus_nat4rev: [16, 8],
      isthmus_drops: [4, 16],
      isthmus_forward: [4, 16],
    });
  });

  test('has nothing but the configuration in .rodata', () => {
    expect(node.rodata?.bytes.length).toBe(nodeConfig.size);
    expect([...(node.rodata?.variables.keys() ?? [])]).toEqual(['config']);
  });

  test('has the programs that are attached', () => {
    expect(node.programs.map(({ name, section }) => `${name} ${section}`).sort()).toEqual([
      'from_overlay tc',
      'from_pod tc',
      'host_to_overlay tc',
      'sock4_connect cgroup/connect4',
      'sock4_peername cgroup/getpeername4',
      'sock4_recvmsg cgroup/recvmsg4',
      'sock4_sendmsg cgroup/sendmsg4',
      'to_pod tc',
    ]);
  });

  test('holds no path of the machine it was compiled on', () => {
    for (const name of ['node', 'router'] as const)
      expect(readFileSync(objectPath(name)).toString('latin1')).not.toMatch(/\/(?:home|root|usr|work|tmp|build)\//);
  });
});

describe('names of counters', () => {
  const bpf = new URL('../../../datapath/bpf/', import.meta.url);
  const enumOf = (file: string, prefix: string): readonly string[] => {
    const text = readFileSync(new URL(file, bpf), 'utf8');
    const names: string[] = [];
    for (const [, name = '', index = ''] of text.matchAll(new RegExp(`^  ${prefix}_([A-Z_]+) = (\\d+),$`, 'gm')))
      if (!['REASONS', 'EVENTS', 'COUNTS'].includes(name))
        names[Number(index)] = name.toLowerCase().replaceAll('_', ' ');
    return names;
  };

  test('are those of the programs', () => {
    expect(dropReasons).toEqual(enumOf('lib/constants.h', 'DROP'));
    expect(forwardEvents).toEqual(enumOf('lib/constants.h', 'FORWARD'));
    expect(routerCounts).toEqual(enumOf('router.bpf.c', 'ROUTER'));
  });
});
