/** What every option has. */
interface Base {
  /** One sentence for the help page, without a full stop. */
  readonly help: string;
  /** One letter, for `-o`. */
  readonly short?: string;
  /** What stands for the value in help, `DIR`; a word for the type unless told. */
  readonly placeholder?: string;
}

/** A network address to listen on or to connect to; `host` is without brackets. */
export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** One option, declared once: its flag, environment name, help line and TypeScript type follow from this value. */
export type OptionSpec =
  | (Base & { readonly type: 'string'; readonly default?: string; readonly required?: true })
  | (Base & {
      /** A whole number. */
      readonly type: 'number';
      readonly default?: number;
      readonly required?: true;
      /** Both ends included. */
      readonly min?: number;
      readonly max?: number;
      /** Shown in help: `seconds`, `bytes`. */
      readonly unit?: string;
    })
  | (Base & { readonly type: 'boolean'; readonly default?: boolean })
  /** Given several times, or once with commas. */
  | (Base & { readonly type: 'list'; readonly default?: readonly string[]; readonly required?: true })
  /** As Go writes it, `1m30s`; the value is in milliseconds and its name ends in `Ms`. */
  | (Base & { readonly type: 'duration'; readonly default?: string; readonly required?: true })
  | (Base & {
      readonly type: 'choice';
      readonly choices: readonly string[];
      readonly default?: string;
      readonly required?: true;
    })
  /** `ADDR:PORT`, `[::1]:2379`. */
  | (Base & { readonly type: 'address'; readonly default?: string; readonly required?: true });

/** Options by flag name, without the dashes. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>;

/** `data-dir` → `dataDir`. */
type Camel<S extends string> = S extends `${infer Head}-${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S;

type Name<Flag extends string, S> = S extends { readonly type: 'duration' } ? `${Camel<Flag>}Ms` : Camel<Flag>;

interface ValueByType {
  readonly string: string;
  readonly number: number;
  readonly boolean: boolean;
  readonly list: readonly string[];
  readonly duration: number;
  readonly address: HostPort;
}

type Typed<S extends OptionSpec> = S extends { readonly type: 'choice'; readonly choices: readonly (infer C)[] }
  ? C
  : S extends { readonly type: infer T extends keyof ValueByType }
    ? ValueByType[T]
    : never;

type Value<S extends OptionSpec> = S extends
  | { readonly type: 'boolean' | 'list' }
  | { readonly required: true }
  | { readonly default: string | number }
  ? Typed<S>
  : Typed<S> | undefined;

/** What parsing gives: flags in camel case; durations in milliseconds as `…Ms`; `undefined` where nothing was said. */
export type OptionValues<S extends OptionSpecs> = {
  readonly [Flag in keyof S & string as Name<Flag, S[Flag]>]: Value<S[Flag]>;
};

/** Declares options with their exact types. */
export function defineOptions<const S extends OptionSpecs>(specs: S): S {
  return specs;
}

/** `data-dir` → `ISTHMUS_DATA_DIR`. */
export function environmentName(flag: string): string {
  return `ISTHMUS_${flag.toUpperCase().replaceAll('-', '_')}`;
}

/** The member of {@link OptionValues} that belongs to a flag. */
export function valueName(flag: string, spec: OptionSpec): string {
  const camel = flag.replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return spec.type === 'duration' ? `${camel}Ms` : camel;
}
