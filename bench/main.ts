import { readdir } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { UsageError, closest, defineOptions, optionHelp, parseOptions } from '../runtime/options/index.ts';
import { type BenchRow, type Suite, runSuite } from './suite.ts';

const options = defineOptions({
  output: { type: 'choice', choices: ['table', 'json'], default: 'table', short: 'o', help: 'Format of the result' },
  only: { type: 'string', help: 'Only rows with one of these texts in their names, as "flood,memory"' },
  help: { type: 'boolean', short: 'h', help: 'Show this page' },
});

const stopping = new AbortController();
process.once('SIGINT', () => stopping.abort(new DOMException('Stopped', 'AbortError')));
process.once('SIGTERM', () => stopping.abort(new DOMException('Stopped', 'AbortError')));
process.exit(await main(process.argv.slice(2)));

/** `npm run bench -- [suite…] [-o json]`: exit code 1 when a bar is missed or a row could not be measured. */
async function main(argv: readonly string[]): Promise<number> {
  try {
    const { values, positionals } = parseOptions(options, { argv });
    const known = await loadSuites();
    if (values.help) {
      process.stdout.write(helpText(known));
      return 0;
    }
    beforeOthers();
    const only = values.only?.split(',').filter((text) => text !== '') ?? [];
    const rows: BenchRow[] = [];
    const wanted = chosen(known, positionals).filter(
      (suite) => only.length === 0 || suite.rows.some(({ name }) => only.some((text) => name.includes(text))),
    );
    if (wanted.length === 0)
      throw new UsageError(`No row has ${JSON.stringify(values.only)} in its name`, { option: '--only' });
    for (const suite of wanted) {
      process.stderr.write(`bench: ${suite.name}: ${suite.summary}\n`);
      const note = (line: string): void => void process.stderr.write(`bench: ${suite.name}: ${line}\n`);
      rows.push(...(await runSuite(suite, { note, signal: stopping.signal, only })));
      if (stopping.signal.aborted) break;
    }
    process.stdout.write(values.output === 'json' ? `${JSON.stringify(rows, null, 2)}\n` : tableText(rows));
    return rows.every(({ holds }) => holds) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
    if (error instanceof UsageError && error.hint) process.stderr.write(`  ${error.hint}\n`);
    return error instanceof UsageError ? 2 : 1;
  }
}

/** Whatever else this machine does should disturb neither us nor our rivals, who all inherit this. Root may. */
function beforeOthers(): void {
  try {
    setPriority(-15);
  } catch {
    process.stderr.write('bench: other work of this machine has the same priority: expect more noise\n');
  }
}

/** Every file of `suites/` is one. */
async function loadSuites(): Promise<ReadonlyMap<string, Suite>> {
  const folder = new URL('./suites/', import.meta.url);
  const suites = new Map<string, Suite>();
  for (const file of (await readdir(folder)).toSorted()) {
    if (!file.endsWith('.ts')) continue;
    const { suite } = (await import(new URL(file, folder).href)) as { readonly suite: Suite };
    if (`${suite.name}.ts` !== file) throw new TypeError(`Suite ${suite.name} is in ${file}`);
    suites.set(suite.name, suite);
  }
  return suites;
}

/** A name stands for its suite and for the parts of it that are suites of their own: `store` for `store-consul`, too. */
function chosen(known: ReadonlyMap<string, Suite>, names: readonly string[]): readonly Suite[] {
  if (names.length === 0) return [...known.values()];
  return names.flatMap((name) => {
    const suites = [...known.values()].filter((suite) => suite.name === name || suite.name.startsWith(`${name}-`));
    if (suites.length > 0) return suites;
    const near = closest(name, known.keys());
    throw new UsageError(`There is no suite ${JSON.stringify(name)}`, {
      hint: near ? `did you mean ${near}?` : `suites: ${[...known.keys()].join(', ')}`,
    });
  });
}

function helpText(known: ReadonlyMap<string, Suite>): string {
  const suites = [...known.values()].map(({ name, summary }) => `  ${name.padEnd(12)} ${summary}\n`).join('');
  const flags = optionHelp(options).map((line) => `  ${line.flags.padEnd(26)} ${line.text}\n`);
  return `Usage: npm run bench -- [SUITE…] [options]\n\nSuites (all unless named):\n${suites}\nOptions:\n${flags.join('')}`;
}

function tableText(rows: readonly BenchRow[]): string {
  const shown = (value: number | null): string =>
    value === null ? '-' : Number(value.toPrecision(4)).toLocaleString('en');
  const cells = [
    ['', 'NUMBER', 'VALUE', 'AGAINST', 'RATIO', 'BAR', 'AIM'],
    ...rows.map((row) => [
      row.holds ? 'ok' : 'NO',
      row.name,
      `${shown(row.value)} ${row.unit}`,
      row.rival === null ? '-' : `${shown(row.against)} (${row.rival})`,
      shown(row.ratio),
      row.bar === null ? '-' : `${row.better === 'more' ? '≥' : '≤'} ${row.bar}`,
      shown(row.aim),
    ]),
  ];
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((text, i) => text.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const errors = rows.filter((row) => row.error !== undefined).map((row) => `${row.name}: ${row.error}`);
  return `${[...lines, ...errors].join('\n')}\n`;
}
