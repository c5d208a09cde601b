import { shownLine } from './shown.ts';

/** A JSON value as indented `name: value` lines; lists of plain values on one line. */
export function formatTree(value: unknown, indent = ''): string {
  if (!isObject(value)) return `${indent}${plain(value)}\n`;
  let text = '';
  for (const [name, member] of Object.entries(value)) {
    if (member === undefined) continue;
    if (Array.isArray(member) && member.some((item) => isObject(item))) {
      text += `${indent}${name}:\n`;
      for (const item of member as unknown[]) text += asListItem(formatTree(item, `${indent}    `), indent);
    } else if (isObject(member) && Object.keys(member).length > 0)
      text += `${indent}${name}:\n${formatTree(member, `${indent}  `)}`;
    else text += `${indent}${name}: ${plain(member)}\n`;
  }
  return text;
}

function asListItem(lines: string, indent: string): string {
  return `${indent}  - ${lines.slice(indent.length + 4)}`;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function plain(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map((item) => plain(item)).join(', ');
  if (isObject(value)) return 'none';
  if (value === null || value === '') return '-';
  return typeof value === 'string' ? shownLine(value) : JSON.stringify(value);
}
