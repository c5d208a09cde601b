export { type Column, formatTable } from './table.ts';
export { escapedCode, shownLine, shownLines } from './shown.ts';
export { formatTree } from './tree.ts';
export { type OutputFormat, formatJson, formatRows, outputOptions } from './format.ts';
