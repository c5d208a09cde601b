import { type OptionHelp, optionHelp } from '../runtime/options/index.ts';
import type { Command, CommandGroup } from './command.ts';

const common: readonly OptionHelp[] = [{ flags: '-h, --help', text: 'Show this page' }];

/** The page of a group: what it holds. */
export function groupHelp(path: readonly string[], group: CommandGroup): string {
  const name = path.join(' ');
  const rows = Object.entries(group.commands).map(([word, { summary }]) => ({ flags: word, text: summary }));
  const options = path.length === 1 ? [...common, { flags: '--version', text: 'Print the version' }] : common;
  return [
    group.summary,
    `Usage: ${name} COMMAND`,
    `Commands:\n${columns(rows)}`,
    `Options:\n${columns(options)}`,
    `${name} COMMAND --help says more about a command.`,
  ]
    .join('\n\n')
    .concat('\n');
}

/** The page of a command: arguments and options with their defaults and environment names. */
export function commandHelp(path: readonly string[], summary: string, command: Command): string {
  const parts = [summary, `Usage: ${usageLine(path, command)}`];
  if (command.description) parts.push(command.description.trim());
  parts.push(`Options:\n${columns([...optionHelp(command.options), ...common])}`);
  if (command.examples) parts.push(`Examples:\n${command.examples.map((line) => `  ${line}`).join('\n')}`);
  return `${parts.join('\n\n')}\n`;
}

/** `isthmus get RESOURCE [options]`. */
export function usageLine(path: readonly string[], command: Command): string {
  const words = [...path];
  if (command.positionals) words.push(command.positionals.usage);
  words.push('[options]');
  if (command.rest) words.push(command.rest);
  return words.join(' ');
}

/** Two columns; a name too long for the first one gets a line of its own. */
function columns(rows: readonly OptionHelp[]): string {
  const width = Math.min(30, Math.max(...rows.map(({ flags }) => flags.length)));
  return rows
    .map(({ flags, text }) =>
      flags.length > width ? `  ${flags}\n  ${' '.repeat(width)}  ${text}` : `  ${flags.padEnd(width)}  ${text}`,
    )
    .join('\n');
}
