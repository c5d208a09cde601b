import { describe, expect, test } from '@jest/globals';
import { Differ } from '../../../datapath/table/difference.ts';
import { Packed, Serial } from '../../../datapath/table/index.ts';

function packed(...rows: readonly string[]): Packed {
  const result = new Packed(2);
  for (const row of rows) result.push(Buffer.from(row));
  return result;
}

function texts(rows: Packed): readonly string[] {
  return Array.from({ length: rows.count }, (_, i) => rows.at(i).toString());
}

describe('a difference of rows', () => {
  test.each([
    { when: 'nothing is there', there: {}, write: ['k1', 'k2'], remove: [], kept: 0 },
    { when: 'all is there', there: { k1: 'v1', k2: 'v2' }, write: [], remove: [], kept: 2 },
    { when: 'a value differs', there: { k1: 'xx', k2: 'v2' }, write: ['k1'], remove: [], kept: 1 },
    { when: 'something else is there', there: { k9: 'v9', k2: 'v2' }, write: ['k1'], remove: ['k9'], kept: 1 },
  ])('names what to write and remove when $when', async ({ there, write, remove, kept }) => {
    const differ = await Differ.of({ keys: packed('k1', 'k2'), values: packed('v1', 'v2') }, { key: 2, value: 2 });
    for (const [key, value] of Object.entries(there)) differ.visit(Buffer.from(key), Buffer.from(value));
    const difference = differ.finish();
    expect({ write: texts(difference.write.keys), remove: texts(difference.remove), kept: difference.kept }).toEqual({
      write,
      remove,
      kept,
    });
  });

  test('takes the last of equal keys', async () => {
    const differ = await Differ.of({ keys: packed('k1', 'k1'), values: packed('v1', 'v2') }, { key: 2, value: 2 });
    expect(texts(differ.finish().write.values)).toEqual(['v2']);
  });
});

describe('packed rows', () => {
  test('grow beyond their first capacity and keep what they hold', () => {
    const rows = new Packed(2, 1);
    for (let i = 0; i < 100; i++) rows.push(Buffer.from(String(i).padStart(2, '0')));
    expect([rows.count, rows.bytes.length, rows.at(7).toString(), rows.at(99).toString()]).toEqual([
      100,
      200,
      '07',
      '99',
    ]);
  });
});

describe('serial tasks', () => {
  test('run one after the other, also behind one that failed', async () => {
    const serial = new Serial();
    const events: string[] = [];
    const task = (name: string, fails = false) =>
      serial.run(async () => {
        events.push(`${name} begins`);
        await Promise.resolve();
        events.push(`${name} ends`);
        if (fails) throw new Error(name);
        return name;
      });
    const results = await Promise.allSettled([task('a'), task('b', true), task('c')]);
    expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });
});
