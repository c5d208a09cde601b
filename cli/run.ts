import { closest, parseOptions, shownArgument, UsageError } from '../runtime/options/index.ts';
import { isAbort } from '../runtime/tasks/index.ts';
import {
  type Command,
  type CommandContext,
  type CommandEntry,
  type CommandGroup,
  type ExitCode,
  NobodyReads,
} from './command.ts';
import { systemErrorText } from './system-error.ts';
import { commandHelp, groupHelp, usageLine } from './help.ts';

/** Finds the command that `argv` names, parses its options and runs it. Errors become lines on standard error. */
export async function runCommandLine(
  tree: CommandGroup,
  argv: readonly string[],
  version: string,
  context: CommandContext,
): Promise<ExitCode> {
  const { path, words, found } = walk(tree, argv);
  try {
    const own = words.includes('--') ? words.slice(0, words.indexOf('--')) : words;
    const wantsHelp = own.some((word) => word === '--help' || word === '-h');
    if ('commands' in found) return runGroup(path, found, own, wantsHelp, version, context);
    const command = await found.load();
    if (wantsHelp) {
      context.stdout(commandHelp(path, found.summary, command));
      return 0;
    }
    const { values, positionals, rest } = parseOptions(command.options, { argv: words, env: context.env });
    checkPositionals(path, command, positionals, rest);
    try {
      return await command.run(context, { options: values, positionals, rest });
    } catch (error) {
      const { signal } = context;
      if (!signal.aborted || !isAbort(error, signal)) throw error;
      const ends = command.ends ?? command.endsWith?.(values) ?? false;
      if (!ends || signal.reason instanceof NobodyReads) return 0;
      // Whoever goes on with `&&` counts on what has not been done.
      context.stderr('isthmus: Interrupted before the end\n');
      return 1;
    }
  } catch (error) {
    return report(error, path, context);
  }
}

function runGroup(
  path: readonly string[],
  group: CommandGroup,
  words: readonly string[],
  wantsHelp: boolean,
  version: string,
  context: CommandContext,
): ExitCode {
  if (path.length === 1 && words[0] === '--version') {
    context.stdout(`isthmus ${version}\n`);
    return 0;
  }
  const [word] = words;
  // Whoever asks for the help of a command that is not there is to hear that, whatever else is asked.
  if (wantsHelp && (word === undefined || word.startsWith('-'))) {
    context.stdout(groupHelp(path, group));
    return 0;
  }
  if (word === undefined) {
    context.stderr(groupHelp(path, group));
    return 2;
  }
  if (word.startsWith('-')) throw new UsageError(`Unknown option ${word}`, { hint: `${path.join(' ')} --help` });
  const near = closest(word, Object.keys(group.commands));
  throw new UsageError(`${path.join(' ')} has no command ${JSON.stringify(word)}`, {
    hint: near ? `did you mean ${[...path, near].join(' ')}?` : `${path.join(' ')} --help lists the commands`,
  });
}

interface Walked {
  readonly path: readonly string[];
  readonly words: readonly string[];
  readonly found: CommandEntry | CommandGroup;
}

/** Follows the leading words of `argv` down the tree as far as they name something. */
function walk(tree: CommandGroup, argv: readonly string[]): Walked {
  const path = ['isthmus'];
  let found: CommandEntry | CommandGroup = tree;
  let at = 0;
  for (; at < argv.length && 'commands' in found; at++) {
    const word: string = argv[at] ?? '';
    const next: CommandEntry | CommandGroup | undefined = Object.hasOwn(found.commands, word)
      ? found.commands[word]
      : undefined;
    if (!next) break;
    path.push(word);
    found = next;
  }
  return { path, words: argv.slice(at), found };
}

function checkPositionals(
  path: readonly string[],
  command: Command,
  positionals: readonly string[],
  rest: readonly string[],
): void {
  const { min, max } = command.positionals ?? { min: 0, max: 0 };
  const usage = `usage: ${usageLine(path, command)}`;
  if (positionals.length < min)
    throw new UsageError(`${path.join(' ')} needs ${command.positionals?.usage ?? 'arguments'}`, { hint: usage });
  if (positionals.length > max)
    throw new UsageError(`Unexpected argument ${shownArgument(positionals[max] ?? '')}`, { hint: usage });
  if (rest.length > 0 && !command.rest)
    throw new UsageError(`${path.join(' ')} takes nothing behind --`, { hint: usage });
}

/** One line for what went wrong, one for what cures it; the stack only when asked for. */
function report(error: unknown, path: readonly string[], context: CommandContext): ExitCode {
  const message = systemErrorText(error) ?? (error instanceof Error ? error.message : String(error));
  context.stderr(`isthmus: ${message}\n`);
  const hint = hintOf(error);
  if (hint !== undefined) context.stderr(`  ${hint}\n`);
  else if (error instanceof UsageError) context.stderr(`  ${path.join(' ')} --help says more\n`);
  if (context.env['ISTHMUS_TRACE'] && error instanceof Error) context.stderr(`${error.stack}\n`);
  return error instanceof UsageError ? 2 : 1;
}

function hintOf(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('hint' in error) || typeof error.hint !== 'string') return undefined;
  // Some errors carry their hint in the message already.
  return error.message.includes(error.hint) ? undefined : error.hint;
}
