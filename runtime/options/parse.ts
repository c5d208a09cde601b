import { closest } from './closest.ts';
import { type OptionSpec, type OptionSpecs, type OptionValues, environmentName, valueName } from './spec.ts';
import { UsageError } from './usage-error.ts';
import { defaultValue, expectation, readValue } from './values.ts';

export interface ParseInput {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export interface Parsed<S extends OptionSpecs> {
  readonly values: OptionValues<S>;
  /** What is no option, in order, up to `--`. */
  readonly positionals: readonly string[];
  /** Everything after `--`, untouched. */
  readonly rest: readonly string[];
}

/**
 * Reads options from the command line, then from the environment, then from their defaults. Accepts `--flag value`,
 * `--flag=value`, `--no-flag` for booleans, and one-letter forms `-o value`, `-ovalue`.
 * @throws {UsageError} naming the option and what was expected.
 */
export function parseOptions<const S extends OptionSpecs>(specs: S, input: ParseInput): Parsed<S> {
  const { given, positionals, rest } = split(specs, input.argv);
  const values: Record<string, unknown> = {};
  for (const [flag, spec] of Object.entries(specs)) {
    const required = 'required' in spec && spec.required;
    // An empty text is nothing where something has to be given: `--data-dir "$UNSET"`.
    const texts = required && given.get(flag)?.every((text) => text === '') ? undefined : given.get(flag);
    const fromEnv = input.env?.[environmentName(flag)];
    const name = valueName(flag, spec);
    if (texts) values[name] = readValue(`--${flag}`, spec, texts);
    else if (fromEnv !== undefined && fromEnv !== '') values[name] = readValue(environmentName(flag), spec, [fromEnv]);
    else if (required)
      throw new UsageError(`--${flag} is required: ${spec.help}`, {
        option: `--${flag}`,
        hint: `give --${flag} or set ${environmentName(flag)} (${expectation(spec)})`,
      });
    else values[name] = defaultValue(flag, spec);
  }
  // The loop above fills exactly the members that the mapped type derives from the same specs.
  return { values: values as OptionValues<S>, positionals, rest };
}

interface Split {
  readonly given: ReadonlyMap<string, string[]>;
  readonly positionals: readonly string[];
  readonly rest: readonly string[];
}

function split(specs: OptionSpecs, argv: readonly string[]): Split {
  const given = new Map<string, string[]>();
  const positionals: string[] = [];
  const end = argv.indexOf('--');
  const words = (end < 0 ? argv : argv.slice(0, end)).values();
  const add = (flag: string, text: string): void => void given.set(flag, [...(given.get(flag) ?? []), text]);
  const next = (shown: string, spec: OptionSpec): string => {
    const word = words.next();
    if (word.done || (word.value.startsWith('--') && word.value.length > 2))
      throw new UsageError(`${shown} expects ${expectation(spec)}`, { option: shown });
    return word.value;
  };
  for (const word of words) {
    const long = /^--([^=]+)(?:=([\s\S]*))?$/.exec(word);
    if (long) {
      const { flag, spec, negated } = find(specs, long[1] ?? '');
      if (spec.type !== 'boolean') add(flag, long[2] ?? next(`--${flag}`, spec));
      else if (negated && long[2] !== undefined) throw new UsageError(`--no-${flag} takes no value`, { option: flag });
      else add(flag, negated ? 'false' : (long[2] ?? 'true'));
    } else if (/^-[a-zA-Z]/.test(word)) {
      const [flag, spec] = findShort(specs, word.slice(0, 2));
      if (spec.type !== 'boolean') add(flag, word.length > 2 ? word.slice(2).replace(/^=/, '') : next(word, spec));
      else if (word.length === 2) add(flag, 'true');
      else throw new UsageError(`Unknown option ${word}`, { option: word });
    } else positionals.push(word);
  }
  return { given, positionals, rest: end < 0 ? [] : argv.slice(end + 1) };
}

function find(specs: OptionSpecs, word: string): { flag: string; spec: OptionSpec; negated: boolean } {
  const exact = Object.hasOwn(specs, word) ? specs[word] : undefined;
  if (exact) return { flag: word, spec: exact, negated: false };
  const positive = word.startsWith('no-') ? word.slice(3) : '';
  const spec = Object.hasOwn(specs, positive) ? specs[positive] : undefined;
  if (spec?.type === 'boolean') return { flag: positive, spec, negated: true };
  const near = closest(word, Object.keys(specs));
  throw new UsageError(`Unknown option --${word}`, {
    option: `--${word}`,
    ...(near ? { hint: `did you mean --${near}?` } : {}),
  });
}

function findShort(specs: OptionSpecs, word: string): [string, OptionSpec] {
  const found = Object.entries(specs).find(([, spec]) => `-${spec.short}` === word);
  if (!found) throw new UsageError(`Unknown option ${word}`, { option: word });
  return found;
}
