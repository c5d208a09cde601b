import { defineOptions } from '../../runtime/options/index.ts';
import { type Column, formatTable } from './table.ts';

/** `-o table|json`, for commands that print data. */
export const outputOptions = defineOptions({
  output: {
    type: 'choice',
    choices: ['table', 'json'],
    default: 'table',
    short: 'o',
    help: 'Format of what is printed',
  },
});

export type OutputFormat = 'table' | 'json';

/** A value as indented JSON with a final newline; 64-bit numbers become texts. */
export function formatJson(value: unknown): string {
  return `${JSON.stringify(value, (_, member: unknown) => (typeof member === 'bigint' ? member.toString() : member), 2)}\n`;
}

/** Rows in the format that was asked for. */
export function formatRows<Row>(format: OutputFormat, columns: readonly Column<Row>[], rows: readonly Row[]): string {
  return format === 'json' ? formatJson(rows) : formatTable(columns, rows);
}
