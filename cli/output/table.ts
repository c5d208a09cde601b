/** One column of a table: its heading and the text of a row. */
export interface Column<Row> {
  readonly title: string;
  readonly text: (row: Row) => string | number | boolean | undefined;
  /** `right` for numbers. */
  readonly align?: 'left' | 'right';
}

/** Rows under their headings, padded with spaces; an absent value is `-`. No row, no table: the headings alone. */
export function formatTable<Row>(columns: readonly Column<Row>[], rows: Iterable<Row>): string {
  const cells = [...rows].map((row) => columns.map((column) => cell(column.text(row))));
  const widths = columns.map((column, i) => Math.max(column.title.length, ...cells.map((row) => row[i]?.length ?? 0)));
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, i) => (columns[i]?.align === 'right' ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [columns.map(({ title }) => title), ...cells].map((row) => `${line(row)}\n`).join('');
}

function cell(value: string | number | boolean | undefined): string {
  if (value === undefined || value === '') return '-';
  // A line break or a terminal's control code in somebody's label must not break the table.
  return String(value).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
}
