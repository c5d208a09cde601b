import { describe, expect, test } from '@jest/globals';
import type { ServiceEntry } from '../../../datapath/index.ts';
import { KnownServices, keepPlaces } from '../../../datapath/services/known.ts';
import { type ServiceStep, serviceSteps } from '../../../datapath/services/plan.ts';
import { RowBuilder } from '../../../datapath/services/rows.ts';

function entry(...backends: readonly string[]): ServiceEntry {
  return {
    address: '10.96.0.1',
    port: 80,
    protocol: 'TCP',
    backends: backends.map((text) => {
      const [address = '', state] = text.split(' ');
      return { address, port: 8080, state: state === 'terminating' ? 'terminating' : 'active' };
    }),
  };
}

function rowsOf(known: KnownServices, value: ServiceEntry): RowBuilder {
  const rows = new RowBuilder();
  const service = known.assign(value);
  known.putService(service);
  rows.serviceWithBackends(service, known);
  return rows;
}

function outline(steps: readonly ServiceStep[]): readonly string[] {
  return steps.map((step) => `${step.type} ${(step.type === 'write' ? step.rows : step.keys).length} ${step.table}`);
}

describe('the steps of a service', () => {
  test('write what is pointed at before what points to it', () => {
    const after = rowsOf(new KnownServices(), entry('10.0.0.1', '10.0.0.2'));
    expect(outline(serviceSteps(new RowBuilder(), after))).toEqual([
      'write 2 backends',
      'write 1 revNats',
      'write 2 slots',
      'write 1 masters',
    ]);
  });

  test('remove in the opposite order', () => {
    const before = rowsOf(new KnownServices(), entry('10.0.0.1', '10.0.0.2'));
    expect(outline(serviceSteps(before, new RowBuilder()))).toEqual([
      'remove 1 masters',
      'remove 2 slots',
      'remove 1 revNats',
      'remove 2 backends',
    ]);
  });

  test('of a service that is as it should be are none', () => {
    const known = new KnownServices();
    const before = rowsOf(known, entry('10.0.0.1', '10.0.0.2'));
    expect(serviceSteps(before, rowsOf(known, entry('10.0.0.2', '10.0.0.1')))).toEqual([]);
  });

  test.each<{
    readonly when: string;
    readonly from: readonly string[];
    readonly to: readonly string[];
    readonly steps: readonly string[];
  }>([
    {
      when: 'a backend is replaced',
      from: ['10.0.0.1'],
      to: ['10.0.0.2'],
      steps: ['write 1 backends', 'write 1 slots', 'remove 1 backends'],
    },
    {
      when: 'a backend comes',
      from: ['10.0.0.1'],
      to: ['10.0.0.1', '10.0.0.2'],
      steps: ['write 1 backends', 'write 1 slots', 'write 1 masters'],
    },
    {
      when: 'the first of three goes: the last takes its place',
      from: ['10.0.0.1', '10.0.0.2', '10.0.0.3'],
      to: ['10.0.0.2', '10.0.0.3'],
      steps: ['write 1 slots', 'write 1 masters', 'remove 1 slots', 'remove 1 backends'],
    },
    {
      when: 'a backend terminates and another serves: it leaves its slot, and stays for old connections',
      from: ['10.0.0.1', '10.0.0.2'],
      to: ['10.0.0.1 terminating', '10.0.0.2'],
      steps: ['write 1 backends', 'write 1 slots', 'write 1 masters', 'remove 1 slots'],
    },
    {
      when: 'the only backend terminates: it goes on serving',
      from: ['10.0.0.1'],
      to: ['10.0.0.1 terminating'],
      steps: ['write 1 backends'],
    },
    {
      when: 'the last backend goes: the frontend stays and refuses',
      from: ['10.0.0.1'],
      to: [],
      steps: ['write 1 masters', 'remove 1 slots', 'remove 1 backends'],
    },
  ])('are the least when $when', ({ from, to, steps }) => {
    const known = new KnownServices();
    const before = rowsOf(known, entry(...from));
    expect(outline(serviceSteps(before, rowsOf(known, entry(...to))))).toEqual(steps);
  });
});

describe('numbers of services and backends', () => {
  test('stay with an address, port and protocol, also when several services share it', () => {
    const known = new KnownServices();
    const first = known.assign(entry('10.0.0.1', '10.0.0.2'));
    known.putService(first);
    const second = known.assign({ ...entry('10.0.0.2'), port: 81 });
    known.putService(second);
    const udp = known.assign({ ...entry('10.0.0.2'), port: 81, protocol: 'UDP' });
    expect({ first: first.slots, second: second.slots, udp: udp.slots }).toEqual({
      first: [1, 2],
      second: [2],
      udp: [3],
    });
    expect(new Set([first.revNat, second.revNat, udp.revNat]).size).toBe(3);
  });

  test('of backends that nobody needs are free, of services too', () => {
    const known = new KnownServices();
    known.putService(known.assign(entry('10.0.0.1')));
    known.removeService('10.96.0.1:80/TCP');
    expect(known.needed(1)).toBe(false);
    expect(known.services.size).toBe(0);
  });

  test('run out with 65,535 services', () => {
    const known = new KnownServices();
    for (let i = 0; i < 65_535; i++)
      known.putService(known.assign({ ...entry(), address: `10.96.${i >> 8}.${i & 255}` }));
    expect(() => known.assign({ ...entry(), address: '10.97.0.1' })).toThrow('More than 65535 services');
  });
});

describe('places of backends', () => {
  test.each([
    { before: [], ids: [1, 2], after: [1, 2] },
    { before: [1, 2, 3], ids: [3, 2, 1], after: [1, 2, 3] },
    { before: [1, 2, 3], ids: [2, 3], after: [3, 2] },
    { before: [1, 2, 3], ids: [4, 3], after: [4, 3] },
    { before: [1, 2], ids: [5, 6, 7], after: [5, 6, 7] },
    { before: [1, 2, 3], ids: [], after: [] },
  ])('go from $before to $after for $ids', ({ before, ids, after }) => {
    expect(keepPlaces(before, ids)).toEqual(after);
  });
});
