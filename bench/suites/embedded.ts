import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EtcdProcess, etcdVersion, startEtcd } from '../../test/support/etcd.ts';
import { type RowSpec, type Suite, type SuiteContext, median } from '../suite.ts';
import { type Load, loadGenerator } from './embedded/load.ts';
import { startStore } from './embedded/store-process.ts';

const rival = `etcd ${etcdVersion}`;
const rounds = 5;
const million = 1_000_000;
const page = 10_000;
const quotaBytes = 8 * 1024 ** 3;

const more = (name: string, unit: string, bar: number, aim: number): RowSpec => ({
  name: `embedded: ${name}`,
  unit,
  rival,
  better: 'more',
  bar,
  aim,
});
const less = (name: string, unit: string, bar: number, aim: number): RowSpec => ({
  ...more(name, unit, bar, aim),
  better: 'less',
});

const putRows = { 1: 2000, 16: 10_000, 64: 20_000 } as const;
const puts = new Map(
  Object.entries(putRows).map(([writers, count]) => [
    writers,
    { row: more(`puts, ${writers} ${writers === '1' ? 'writer' : 'writers'}`, 'puts/s', 0.7, 1), count },
  ]),
);
const row = {
  txn: more('puts in transactions of 128', 'puts/s', 0.6, 0.85),
  range: more('range of 100k keys', 'keys/s', 1, 2),
  fanout: more('fan-out to 100 watchers', 'events/s', 1, 2),
  pages: more('1M keys in pages of 10k', 'keys/s', 0.7, 1),
  start: less('start with 1M keys', 's', 0.2, 0.05),
  latency: less('put to event at 1k/s, median', 'ms', 1.6, 1.1),
  rss: less('RSS with 1M keys just loaded', 'MB', 1, 0.8),
  anonymous: less('anonymous memory after 100k random puts', 'MB', 0.6, 0.3),
} as const;

const smallRows = [...[...puts.values()].map((one) => one.row), row.txn, row.fanout, row.latency, row.range];
const millionRows = [row.rss, row.pages, row.anonymous, row.start];

/**
 * The table of what the embedded store must reach over the wire: both durable, both data directories in one folder, the
 * same Go client, run by run in turn. Every single run is kept in `bench/raw/embedded.json`.
 */
export const suite: Suite = {
  name: 'embedded',
  summary: `the embedded store's bars against ${rival}: writes, reads, watches, a million keys`,
  rows: [...[...puts.values()].map((one) => one.row), ...Object.values(row)],
  measure: async (context) => {
    context.note('building the load generator and etcd (cached afterwards)');
    const load = await loadGenerator(context);
    const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-embedded-'));
    const raw = new Raw(context, fdatasyncMs(folder));
    try {
      if (raw.wants(...smallRows)) await smallStores(folder, load, raw);
      if (raw.wants(...millionRows)) await millionKeys(folder, load, raw);
    } finally {
      await raw.save();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function smallStores(folder: string, load: Load, raw: Raw): Promise<void> {
  await using etcd = await startRival(join(folder, 'etcd-small'));
  await using ours = await startStore(join(folder, 'ours-small'));
  const servers = { ours: ours.endpoint, theirs: etcd.endpoint };
  const rate = async (endpoint: string, ...args: readonly (string | number)[]): Promise<number> => {
    const { count, seconds } = await load(endpoint, ...args);
    return count / seconds;
  };
  for (const [writers, { row: spec, count }] of puts)
    await raw.compare(spec, servers, (endpoint) => rate(endpoint, 'put', writers, count));
  await raw.compare(row.txn, servers, (endpoint) => rate(endpoint, 'txn', 50_000));
  await raw.compare(row.fanout, servers, (endpoint) => rate(endpoint, 'fanout', 100, 2000));
  await raw.compare(row.latency, servers, async (endpoint) => (await load(endpoint, 'latency', 1000, 3000)).p50 ?? NaN);
  if (!raw.wants(row.range)) return;
  for (const endpoint of Object.values(servers)) await load(endpoint, 'fill', 100_000);
  await raw.compare(row.range, servers, (endpoint) => rate(endpoint, 'range', 100_000, 5));
}

async function millionKeys(folder: string, load: Load, raw: Raw): Promise<void> {
  const folders = { ours: join(folder, 'ours'), theirs: join(folder, 'etcd') };
  {
    await using etcd = await startRival(folders.theirs);
    await using ours = await startStore(folders.ours);
    raw.note(`filling both with ${million} keys`);
    for (const { endpoint } of [ours, etcd]) await load(endpoint, 'fill', million);
    const megabytes = async (field: 'VmRSS' | 'RssAnon') => ({
      value: await memoryOf(ours.pid, field),
      against: await memoryOf(etcd.pid ?? 0, field),
    });
    raw.record(row.rss, await megabytes('VmRSS'));
    const servers = { ours: ours.endpoint, theirs: etcd.endpoint };
    await raw.compare(row.pages, servers, async (endpoint) => {
      const { count, seconds } = await load(endpoint, 'pages', million, page);
      return count / seconds;
    });
    if (raw.wants(row.anonymous))
      for (const { endpoint } of [ours, etcd]) await load(endpoint, 'random', 100_000, million);
    raw.record(row.anonymous, await megabytes('RssAnon'));
  }
  await raw.compare(row.start, folders, async (data) => {
    const started = performance.now();
    await using server = data === folders.ours ? await startStore(data) : await startRival(data);
    // Only a store that answers has started.
    await load(server.endpoint, 'put', 1, 1);
    return (performance.now() - started) / 1000;
  });
}

function startRival(dataDir: string): Promise<EtcdProcess> {
  return startEtcd({ fsync: true, dataDir, flags: [`--quota-backend-bytes=${quotaBytes}`] });
}

/** Every number that was measured, and what becomes of it. */
class Raw {
  readonly #context: SuiteContext;
  readonly #runs: Record<string, { readonly ours: readonly number[]; readonly theirs: readonly number[] }> = {};
  readonly #fdatasyncMs: number;

  constructor(context: SuiteContext, fdatasync: number) {
    this.#context = context;
    this.#fdatasyncMs = fdatasync;
    this.note(`fdatasync of 4 KiB takes ${fdatasync.toFixed(2)} ms here`);
  }

  note(line: string): void {
    this.#context.note(line);
  }

  /** Whether somebody asked for any of these rows. */
  wants(...specs: readonly RowSpec[]): boolean {
    return this.#context.wanted(...specs.map(({ name }) => name));
  }

  record(spec: RowSpec, measured: { readonly value: number; readonly against: number }): void {
    if (!this.wants(spec)) return;
    this.#runs[spec.name] = { ours: [measured.value], theirs: [measured.against] };
    this.#context.record(spec.name, measured);
  }

  /** Runs in turn, so that a busy moment of the machine meets both. */
  async compare(
    spec: RowSpec,
    subjects: { readonly ours: string; readonly theirs: string },
    measure: (subject: string) => Promise<number>,
  ): Promise<void> {
    if (!this.wants(spec)) return;
    this.note(spec.name);
    const ours: number[] = [];
    const theirs: number[] = [];
    this.#runs[spec.name] = { ours, theirs };
    try {
      for (let round = 0; round < rounds; round++) {
        ours.push(await measure(subjects.ours));
        theirs.push(await measure(subjects.theirs));
      }
      this.#context.record(spec.name, { value: median(ours), against: median(theirs) });
    } catch (error) {
      this.#context.fail(spec.name, error);
    }
  }

  /** Rows that were not measured now keep their numbers. */
  async save(): Promise<void> {
    const folder = new URL('../raw/', import.meta.url);
    const path = new URL('embedded.json', folder);
    await mkdir(folder, { recursive: true });
    const before = await readFile(path, 'utf8').then(
      (text) => JSON.parse(text) as { readonly runs?: Readonly<Record<string, unknown>> },
      () => ({}),
    );
    const runs = { ...('runs' in before ? before.runs : {}), ...this.#runs };
    const content = { rival, node: process.version, fdatasyncMs: this.#fdatasyncMs, runs };
    await writeFile(path, `${JSON.stringify(content, null, 2)}\n`);
  }
}

/** Median over a file that grows, as a log does. */
function fdatasyncMs(folder: string): number {
  const path = join(folder, 'fdatasync');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4096);
  const times = Array.from({ length: 100 }, () => {
    const started = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - started;
  });
  closeSync(file);
  return median(times);
}

async function memoryOf(pid: number, field: 'VmRSS' | 'RssAnon'): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
}
