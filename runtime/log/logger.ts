import type { Clock } from '../clock/index.ts';
import { redact } from './redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFormat = 'text' | 'json';
/** Facts of one line; an `Error` is printed as its message, with its causes and code. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Constant messages, changing facts in fields; a warning that can be acted on carries a `hint`. */
export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  child(fields: LogFields): Logger;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  readonly clock: Clock;
  /** Takes one line with its newline; standard error unless told. */
  readonly write?: (line: string) => void;
}

const levels: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

export function createLogger(options: LoggerOptions, bound: LogFields = {}): Logger {
  const threshold = levels.indexOf(options.level);
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const print = (level: LogLevel, message: string, fields: LogFields = {}): void => {
    if (levels.indexOf(level) < threshold) return;
    const time = new Date(options.clock.now()).toISOString();
    const shown = Object.entries({ ...bound, ...fields })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, redact(name, plain(value))] as const);
    write(options.format === 'json' ? jsonLine(time, level, message, shown) : textLine(time, level, message, shown));
  };
  return {
    debug: (message, fields) => print('debug', message, fields),
    info: (message, fields) => print('info', message, fields),
    warn: (message, fields) => print('warn', message, fields),
    error: (message, fields) => print('error', message, fields),
    child: (fields) => createLogger(options, { ...bound, ...fields }),
  };
}

export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

type Shown = readonly (readonly [string, unknown])[];

function jsonLine(time: string, level: LogLevel, message: string, shown: Shown): string {
  return `${JSON.stringify({ time, level, msg: message, ...Object.fromEntries(shown) })}\n`;
}

function textLine(time: string, level: LogLevel, message: string, shown: Shown): string {
  const facts = shown.map(([name, value]) => ` ${name}=${textValue(value)}`).join('');
  return `${time} ${level.toUpperCase().padEnd(5)} ${message}${facts}\n`;
}

function textValue(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (!(value instanceof Error)) return value;
  const causes: string[] = [];
  for (let error: unknown = value; error instanceof Error && causes.length < 5; error = error.cause)
    causes.push(error.message);
  return causes.join(': ');
}
