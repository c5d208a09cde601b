/** What a suite promises to measure: one row for each number that an issue or a specification names. */
export interface RowSpec {
  /** Unique over all suites, `store: put, 64 in flight`. */
  readonly name: string;
  readonly unit: string;
  /** What the value is compared with in the same run; absent: the value stands for itself. */
  readonly rival?: string;
  /** Whether more of the unit is better, or less. */
  readonly better: 'more' | 'less';
  /** Bound of the ratio; without a rival, of the value itself. */
  readonly bar?: number;
  /** What it is hoped to reach. */
  readonly aim?: number;
}

export interface Measurement {
  readonly value: number;
  /** The rival's value. */
  readonly against?: number;
}

export interface SuiteContext {
  /** One sentence on what goes on, for people who wait. */
  readonly note: (line: string) => void;
  readonly signal: AbortSignal;
  /** @throws {TypeError} for a name that the suite did not promise, or has measured already. */
  readonly record: (name: string, measurement: Measurement) => void;
  /** Whether somebody asked for any of these rows: what nobody asked for need not be measured, and is not shown. */
  readonly wanted: (...names: readonly string[]) => boolean;
  /** One number could not be had; the others of the suite go on. */
  readonly fail: (name: string, error: unknown) => void;
}

export interface Suite {
  /** As on the command line, equal to the file's name. */
  readonly name: string;
  readonly summary: string;
  readonly rows: readonly RowSpec[];
  /** What it throws is the error of every row that is still missing. */
  measure(context: SuiteContext): Promise<void>;
}

/** One row of `npm run bench -o json`. */
export interface BenchRow {
  readonly name: string;
  readonly value: number | null;
  readonly unit: string;
  /** The rival's value in the same run; `rival` names it. */
  readonly against: number | null;
  readonly rival: string | null;
  /** value ÷ against. */
  readonly ratio: number | null;
  readonly bar: number | null;
  readonly aim: number | null;
  /** Whether `bar` is a lower bound (`more`) or an upper one (`less`). */
  readonly better: 'more' | 'less';
  readonly holds: boolean;
  readonly error?: string;
}

/** Runs a suite; every promised row that is wanted comes out, in its order, measured or with the reason why not. */
export async function runSuite(
  suite: Suite,
  context: Pick<SuiteContext, 'note' | 'signal'> & {
    /** Only rows with one of these texts in their names; all unless given. */
    readonly only?: readonly string[];
  },
): Promise<BenchRow[]> {
  const { note, signal, only = [] } = context;
  const wanted = (...names: readonly string[]): boolean =>
    only.length === 0 || names.some((name) => only.some((text) => name.includes(text)));
  const measured = new Map<string, Measurement | { readonly error: string }>();
  const put = (name: string, result: Measurement | { readonly error: string }): void => {
    if (!suite.rows.some((row) => row.name === name))
      throw new TypeError(`Suite ${suite.name} promises no row ${name}`);
    if (measured.has(name)) throw new TypeError(`Row ${name} is measured twice`);
    measured.set(name, result);
  };
  let failure = 'the suite ended without measuring it';
  try {
    await suite.measure({
      note,
      signal,
      wanted,
      record: put,
      fail: (name, error) => put(name, { error: messageOf(error) }),
    });
  } catch (error) {
    failure = messageOf(error);
  }
  return suite.rows
    .filter(({ name }) => wanted(name))
    .map((spec) => toRow(spec, measured.get(spec.name) ?? { error: failure }));
}

export function toRow(spec: RowSpec, result: Measurement | { readonly error: string }): BenchRow {
  const { name, unit, rival = null, bar = null, aim = null, better } = spec;
  const common = { name, unit, rival, bar, aim, better };
  if ('error' in result)
    return { ...common, value: null, against: null, ratio: null, holds: false, error: result.error };
  const { value, against = null } = result;
  const ratio = against === null || against === 0 ? null : value / against;
  const judged = rival === null ? value : ratio;
  if (judged === null) return { ...common, value, against, ratio, holds: false, error: `${rival} was not measured` };
  const holds = bar === null || (better === 'more' ? judged >= bar : judged <= bar);
  return { ...common, value, against, ratio, holds };
}

/** The middle one of several runs. @throws {RangeError} for none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted[Math.floor(sorted.length / 2)];
  if (middle === undefined) throw new RangeError('There is no median of nothing');
  return sorted.length % 2 === 1 ? middle : (middle + (sorted[sorted.length / 2 - 1] ?? middle)) / 2;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
