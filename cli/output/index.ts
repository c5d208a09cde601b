export { type Column, formatTable } from './table.ts';
export { type OutputFormat, formatJson, formatRows, outputOptions } from './format.ts';
