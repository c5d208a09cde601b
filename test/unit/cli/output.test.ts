import { describe, expect, test } from '@jest/globals';
import { type Column, formatJson, formatRows, formatTable, formatTree } from '../../../cli/output/index.ts';

interface Row {
  readonly name: string;
  readonly size?: number;
}
const columns: readonly Column<Row>[] = [
  { title: 'NAME', text: (row) => row.name },
  { title: 'SIZE', align: 'right', text: (row) => row.size },
];

describe('output', () => {
  test('aligns a table, numbers to the right, and shows a dash for what is absent', () => {
    expect(formatTable(columns, [{ name: 'a', size: 12345 }, { name: 'longer' }])).toBe(
      'NAME     SIZE\na       12345\nlonger      -\n',
    );
    expect(formatTable(columns, [])).toBe('NAME  SIZE\n');
  });

  test('keeps control codes of foreign names away from the terminal', () => {
    expect(formatTable(columns, [{ name: '\u001b[31mred\nx' }])).toContain('?[31mred?x');
  });

  test('prints rows as JSON when asked', () => {
    expect(JSON.parse(formatRows('json', columns, [{ name: 'a', size: 1 }]))).toEqual([{ name: 'a', size: 1 }]);
    expect(formatJson({ id: 2n ** 63n })).toBe('{\n  "id": "9223372036854775808"\n}\n');
  });

  test('prints nested values as indented lines', () => {
    const value = { a: 1, none: [], words: ['x', 'y'], inner: { b: true, c: null }, list: [{ d: 1, e: 2 }, { d: 3 }] };
    expect(formatTree(value)).toBe(
      'a: 1\nnone: none\nwords: x, y\ninner:\n  b: true\n  c: -\nlist:\n  - d: 1\n    e: 2\n  - d: 3\n',
    );
  });
});
