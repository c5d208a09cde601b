import type { Clock } from '../runtime/clock/index.ts';
import type { OptionSpecs, OptionValues } from '../runtime/options/index.ts';

/** What a command may touch of the world; tests hand in their own. */
export interface CommandContext {
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
  /** What comes in on standard input; nothing unless given. */
  readonly stdin?: () => AsyncIterable<Uint8Array>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts on the first SIGINT or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal;
  /** Whether standard output is a terminal, and how wide it is. */
  readonly terminal: { readonly columns: number; readonly rows: number } | undefined;
}

/** Why {@link CommandContext.signal} aborts when a pipe is closed by whoever read it: enough was read. */
export class NobodyReads extends DOMException {
  constructor() {
    super('Standard output takes no more', 'AbortError');
  }
}

/** What a command was given. */
export interface CommandInput<S extends OptionSpecs> {
  readonly options: OptionValues<S>;
  readonly positionals: readonly string[];
  /** Behind `--`, untouched. */
  readonly rest: readonly string[];
}

/** 0 fine, 1 it went wrong or the answer is no, 2 the caller asked for something impossible. */
export type ExitCode = 0 | 1 | 2;

export interface Command<S extends OptionSpecs = OptionSpecs> {
  /** Paragraphs for the help page, behind the summary. */
  readonly description?: string;
  readonly options: S;
  /** What is no option: how help shows it, and how many there may be. None unless told. */
  readonly positionals?: { readonly usage: string; readonly min: number; readonly max: number };
  /** Whether something may follow `--`, as help shows it: `-- CMD`. */
  readonly rest?: string;
  /** Lines for the end of the help page, as typed. */
  readonly examples?: readonly string[];
  /** Ends by itself, with something answered or done: interrupted before that, it gives exit code 1. Others are ended so. */
  readonly ends?: boolean;
  /** The same, where it depends on what the command was told. */
  endsWith?(options: OptionValues<S>): boolean;
  /** @throws {UsageError} for exit code 2; any other error is printed and gives 1. */
  run(context: CommandContext, input: CommandInput<S>): Promise<ExitCode>;
}

/** A command in the tree: its module is loaded only when it is run or its own help is asked for, so that starting stays fast. */
export interface CommandEntry {
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

export interface CommandGroup {
  readonly summary: string;
  readonly commands: Readonly<Record<string, CommandEntry | CommandGroup>>;
}

/** Declares a command with the exact types of its options. */
export function defineCommand<const S extends OptionSpecs>(command: Command<S>): Command<S> {
  return command;
}
