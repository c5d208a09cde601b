import { mkdir, readFile, writeFile } from 'node:fs/promises';

const folder = new URL('raw/', import.meta.url);

/**
 * Keeps every single run of the rows that were measured, in `bench/raw/<name>.json`; those of other rows stay as an earlier
 * bench left them, each with its own time.
 */
export async function keepRuns(
  name: string,
  facts: Readonly<Record<string, string>>,
  runs: Readonly<Record<string, unknown>>,
): Promise<void> {
  const file = new URL(`${name}.json`, folder);
  const before = await readFile(file, 'utf8').then(
    (text) => JSON.parse(text) as { readonly runs?: Readonly<Record<string, unknown>>; readonly measured?: object },
    () => undefined,
  );
  const now = new Date().toISOString();
  const measured = { ...before?.measured, ...Object.fromEntries(Object.keys(runs).map((row) => [row, now])) };
  const content = { ...facts, node: process.version, measured, runs: { ...before?.runs, ...runs } };
  await mkdir(folder, { recursive: true });
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`);
}
