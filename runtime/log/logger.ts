import { types } from 'node:util';
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
      .map(([name, value]) => [name, plain(name, value)] as const);
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
  // Anything that could break the line, or a terminal, is quoted.
  return /^[!#-<>-~]+$/.test(text) ? text : JSON.stringify(text);
}

/** What may be written of a field: no secret, nothing that JSON lacks, and never an exception. */
function plain(name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return leaf(name, value);
  if (isError(value)) return redact(name, errorText(value));
  try {
    // Once there and back: what comes out is a copy that every later step can print.
    return redact(name, JSON.parse(JSON.stringify(value, (member, inner: unknown) => nested(member, inner)) ?? 'null'));
  } catch (error) {
    return `[not printable: ${error instanceof Error ? error.message : String(error)}]`;
  }
}

function nested(name: string, value: unknown): unknown {
  if (isError(value)) return redact(name, errorText(value));
  if (value instanceof Map) return Object.fromEntries(value);
  if (value instanceof Set) return [...(value as Set<unknown>)];
  return typeof value === 'object' && value !== null ? redact(name, value) : leaf(name, value);
}

function leaf(name: string, value: unknown): unknown {
  if (typeof value === 'bigint' || typeof value === 'symbol' || typeof value === 'function')
    return redact(name, value.toString());
  return redact(name, value);
}

/** Errors of another realm (a worker, a test's own context) are errors too. */
function isError(value: unknown): value is Error {
  return value instanceof Error || types.isNativeError(value);
}

/** Messages from the outermost to the cause of all, each with its code; what an outer one quotes is not said again. */
function errorText(value: Error): string {
  const parts: { readonly message: string; readonly codes: string[] }[] = [];
  let error: unknown = value;
  for (let depth = 0; isError(error) && depth < 5; depth++) {
    const { message } = error;
    const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
    const codes = code === '' || message.includes(code) ? [] : [code];
    const last = parts.at(-1);
    if (last?.message.includes(message) === true) last.codes.push(...codes);
    else parts.push({ message, codes });
    error = error.cause;
  }
  return parts.map(({ message, codes }) => message + (codes.length > 0 ? ` (${codes.join(', ')})` : '')).join(': ');
}
