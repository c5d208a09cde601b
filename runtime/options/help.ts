import { type OptionSpec, type OptionSpecs, environmentName } from './spec.ts';

/** One option as its help page shows it. */
export interface OptionHelp {
  /** `-o, --output FORMAT`. */
  readonly flags: string;
  /** The sentence, then default and environment name in brackets. */
  readonly text: string;
}

const placeholders = {
  string: 'TEXT',
  number: 'N',
  boolean: '',
  list: 'A,B',
  duration: 'DURATION',
  choice: '',
  address: 'ADDR:PORT',
} as const;

/** The help lines of options, in the order of their declaration. */
export function optionHelp(specs: OptionSpecs): OptionHelp[] {
  return Object.entries(specs).map(([flag, spec]) => ({
    flags: `${spec.short ? `-${spec.short}, ` : ''}--${flag}${argument(spec)}`,
    text: `${spec.help}${facts(flag, spec)}`,
  }));
}

function argument(spec: OptionSpec): string {
  const name = spec.placeholder ?? (spec.type === 'choice' ? spec.choices.join('|') : placeholders[spec.type]);
  return name === '' ? '' : ` ${name}`;
}

function facts(flag: string, spec: OptionSpec): string {
  const shown: string[] = [];
  if ('required' in spec && spec.required) shown.push('required');
  if (spec.default !== undefined && spec.default !== false && String(spec.default) !== '')
    shown.push(`default ${defaultText(spec)}`);
  shown.push(environmentName(flag));
  return ` [${shown.join('; ')}]`;
}

/** A text is quoted, since it may read like a word of the sentence. */
function defaultText(spec: OptionSpec): string {
  if (spec.type === 'string') return JSON.stringify(spec.default);
  return `${String(spec.default)}${spec.type === 'number' && spec.unit ? ` ${spec.unit}` : ''}`;
}
