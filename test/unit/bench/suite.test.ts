import { describe, expect, test } from '@jest/globals';
import { type RowSpec, type Suite, median, runSuite, toRow } from '../../../bench/suite.ts';

const quiet = { note: () => undefined, signal: new AbortController().signal };
const spec = (more: Partial<RowSpec> = {}): RowSpec => ({ name: 'puts', unit: 'puts/s', better: 'more', ...more });

describe('a row of a benchmark', () => {
  test.each([
    {
      when: 'the ratio reaches the bar',
      row: { rival: 'etcd', bar: 0.5 },
      value: 60,
      against: 100,
      ratio: 0.6,
      holds: true,
    },
    {
      when: 'the ratio misses it',
      row: { rival: 'etcd', bar: 0.5 },
      value: 40,
      against: 100,
      ratio: 0.4,
      holds: false,
    },
    {
      when: 'less is better and it is little',
      row: { rival: 'etcd', better: 'less', bar: 1.5 },
      value: 12,
      against: 10,
      ratio: 1.2,
      holds: true,
    },
    {
      when: 'less is better and it is much',
      row: { rival: 'etcd', better: 'less', bar: 1.1 },
      value: 12,
      against: 10,
      ratio: 1.2,
      holds: false,
    },
    { when: 'a value stands for itself', row: { better: 'less', bar: 15 }, value: 6, ratio: null, holds: true },
    { when: 'nothing is asked of it', row: {}, value: 6, ratio: null, holds: true },
  ] as const)('is judged when $when', ({ row, value, ratio, holds, ...rest }) => {
    const against = 'against' in rest ? rest.against : undefined;
    const result = toRow(spec(row), { value, ...(against === undefined ? {} : { against }) });
    expect(result).toMatchObject({ value, against: against ?? null, ratio, holds });
  });

  test('does not hold when its rival was not measured', () => {
    expect(toRow(spec({ rival: 'etcd', bar: 1 }), { value: 5 })).toMatchObject({
      holds: false,
      error: 'etcd was not measured',
    });
  });
});

describe('a suite of which only some rows are wanted', () => {
  test('measures and gives those', async () => {
    const measured: string[] = [];
    const suite: Suite = {
      name: 'x',
      summary: '',
      rows: [spec({ name: 'x: flood' }), spec({ name: 'x: memory' }), spec({ name: 'x: growth' })],
      measure: async ({ wanted, record }) => {
        for (const name of ['x: flood', 'x: memory', 'x: growth'])
          if (wanted(name)) {
            measured.push(name);
            record(name, { value: 1 });
          }
      },
    };
    const rows = await runSuite(suite, { ...quiet, only: ['memory', 'flood'] });
    expect(rows.map(({ name }) => name)).toEqual(['x: flood', 'x: memory']);
    expect(measured).toEqual(['x: flood', 'x: memory']);
  });
});

describe('a suite', () => {
  test('gives every row that it promised, also those that failed or never came', async () => {
    const suite: Suite = {
      name: 'x',
      summary: 'X',
      rows: ['a', 'b', 'c'].map((name) => spec({ name })),
      measure: async ({ record, fail }) => {
        record('b', { value: 2 });
        fail('a', new Error('No root'));
        throw new Error('Out of memory');
      },
    };
    const rows = await runSuite(suite, quiet);
    expect(rows.map(({ name, value, holds, error }) => ({ name, value, holds, error }))).toEqual([
      { name: 'a', value: null, holds: false, error: 'No root' },
      { name: 'b', value: 2, holds: true, error: undefined },
      { name: 'c', value: null, holds: false, error: 'Out of memory' },
    ]);
  });

  test('says so when it measures what it never promised', async () => {
    const suite: Suite = {
      name: 'x',
      summary: 'X',
      rows: [spec({ name: 'a' })],
      measure: async ({ record }) => record('b', { value: 1 }),
    };
    expect(await runSuite(suite, quiet)).toMatchObject([{ name: 'a', error: 'Suite x promises no row b' }]);
  });

  test.each([
    [[3, 1, 2], 2],
    [[4, 1, 2, 3], 2.5],
    [[7], 7],
  ])('takes of %j the median %d', (values, middle) => {
    expect(median(values)).toBe(middle);
  });
});
