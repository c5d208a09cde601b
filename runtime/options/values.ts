import type { HostPort, OptionSpec } from './spec.ts';
import { UsageError } from './usage-error.ts';

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Milliseconds of `1h30m`, `15m`, `500ms`, `0` (Go's notation, down to milliseconds). @throws {RangeError} */
export function parseDuration(text: string): number {
  if (text === '0') return 0;
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new RangeError(`Not a duration: ${JSON.stringify(text)}`);
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g))
    total += Number(amount) * (unitMs[unit ?? ''] ?? 0);
  return total;
}

/** `host:port`, IPv6 in brackets; port 0 means any free one. @throws {RangeError} */
export function parseHostPort(text: string): HostPort {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65_535) throw new RangeError(`Not an address with port: ${JSON.stringify(text)}`);
  return { host: match[1] ?? match[2] ?? '', port };
}

/** The text of an address, which {@link parseHostPort} reads. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What an option's value should look like, for messages and help. */
export function expectation(spec: OptionSpec): string {
  switch (spec.type) {
    case 'string':
      return 'a text';
    case 'number': {
      const unit = spec.unit ? ` of ${spec.unit}` : '';
      if (spec.min !== undefined && spec.max !== undefined)
        return `a whole number${unit} from ${spec.min} to ${spec.max}`;
      if (spec.min !== undefined) return `a whole number${unit}, at least ${spec.min}`;
      return spec.max === undefined ? `a whole number${unit}` : `a whole number${unit}, at most ${spec.max}`;
    }
    case 'boolean':
      return 'true or false';
    case 'list':
      return 'a list, comma separated or by repeating the option';
    case 'duration':
      return 'a duration such as 500ms, 30s, 15m or 1h30m';
    case 'choice':
      return `one of ${spec.choices.join(', ')}`;
    case 'address':
      return 'an address with port such as 127.0.0.1:2379 or [::1]:2379';
  }
}

/** What somebody has typed, in quotation marks. Of a URL only the scheme: it may hold a password, and errors end up in logs. */
export function shownArgument(text: string): string {
  return JSON.stringify(text.replace(/(?<=:\/\/).+$/s, '…'));
}

/**
 * The typed value of an option from the texts it was given (several only for a list).
 * @throws {UsageError} naming `shown`, where the text came from, and what was expected.
 */
export function readValue(shown: string, spec: OptionSpec, texts: readonly string[]): unknown {
  const text = texts.at(-1) ?? '';
  const refuse = (): never => {
    throw new UsageError(`${shown} expects ${expectation(spec)}, not ${shownArgument(text)}`, { option: shown });
  };
  const attempt = <T>(parse: (text: string) => T): T => {
    try {
      return parse(text);
    } catch {
      return refuse();
    }
  };
  switch (spec.type) {
    case 'string':
      return text;
    case 'number': {
      const value = /^-?\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
      const fits = value >= (spec.min ?? -Infinity) && value <= (spec.max ?? Infinity);
      return fits ? value : refuse();
    }
    case 'boolean':
      return text === 'true' || (text !== 'false' && refuse());
    case 'list':
      return texts.flatMap((part) => part.split(',')).filter((part) => part !== '');
    case 'duration':
      return attempt(parseDuration);
    case 'choice':
      return spec.choices.includes(text) ? text : refuse();
    case 'address':
      return attempt(parseHostPort);
  }
}

/** The value of an option that nobody set. */
export function defaultValue(flag: string, spec: OptionSpec): unknown {
  if (spec.type === 'boolean') return spec.default ?? false;
  if (spec.type === 'list') return spec.default ?? [];
  if (spec.default === undefined) return undefined;
  return readValue(`--${flag} (default)`, spec, [String(spec.default)]);
}
