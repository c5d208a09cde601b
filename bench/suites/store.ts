import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type BinarySpec, builtBinary } from '../../test/support/built-binary.ts';
import { etcdVersion, startEtcd } from '../../test/support/etcd.ts';
import { type RowSpec, type Suite, type SuiteContext, median } from '../suite.ts';

const rival = `etcd ${etcdVersion}`;
const rounds = 3;
/** Puts a run by how many are in flight: a second or so each. */
const puts = { 1: 1500, 16: 8000, 64: 16_000, 256: 24_000 } as const;
const rangeKeys = 100_000;
const watchers = 20;
const fanoutPuts = 4000;

const putName = (inFlight: string): string => `store: put, ${inFlight} in flight`;
const rangeName = 'store: range of 100k keys';
const fanoutName = 'store: watch fan-out to 20 watchers';

const common = { rival, better: 'more' } as const;
const rows: readonly RowSpec[] = [
  ...Object.keys(puts).map((inFlight) => ({ name: putName(inFlight), unit: 'puts/s', ...common, bar: 0.5, aim: 1 })),
  { name: rangeName, unit: 'keys/s', ...common, bar: 1, aim: 1.5 },
  { name: fanoutName, unit: 'events/s', ...common, bar: 1, aim: 1.4 },
];

/**
 * The embedded store over the wire against real etcd: both durable, both on loopback on the same disk, the same Go
 * client, run by run in turn.
 */
export const suite: Suite = {
  name: 'store',
  summary: `embedded over the etcd v3 API against ${rival}, the same Go client for both`,
  rows,
  measure: async (context) => {
    context.note('building the load generator and etcd (cached afterwards)');
    const load = await builtBinary(loadBinary, context.note);
    await using etcd = await startEtcd({ fsync: true });
    await using ours = await startStore();
    const servers = { ours: ours.endpoint, theirs: etcd.endpoint };
    const rate = async (endpoint: string, ...args: readonly (string | number)[]): Promise<number> => {
      const { stdout } = await promisify(execFile)(load, [endpoint, ...args.map(String)], { signal: context.signal });
      const { count, seconds } = JSON.parse(stdout) as { readonly count: number; readonly seconds: number };
      return count / seconds;
    };
    for (const [inFlight, count] of Object.entries(puts))
      await compare(context, putName(inFlight), servers, (endpoint) => rate(endpoint, 'put', inFlight, count));
    await compare(context, fanoutName, servers, (endpoint) => rate(endpoint, 'fanout', watchers, fanoutPuts));
    context.note(`filling both with ${rangeKeys} keys`);
    for (const endpoint of Object.values(servers)) await rate(endpoint, 'fill', rangeKeys);
    await compare(context, rangeName, servers, (endpoint) => rate(endpoint, 'range', rangeKeys, 5));
  },
};

const loadBinary: BinarySpec = {
  name: 'etcdload',
  version: etcdVersion,
  module: new URL('../rivals/etcdload/', import.meta.url),
  mainPackage: '.',
  override: 'ISTHMUS_BENCH_ETCDLOAD',
};

/** Runs in turn, so that a busy moment of the machine meets both. */
async function compare(
  context: SuiteContext,
  name: string,
  servers: { readonly ours: string; readonly theirs: string },
  measure: (endpoint: string) => Promise<number>,
): Promise<void> {
  context.note(name);
  const ours: number[] = [];
  const theirs: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      ours.push(await measure(servers.ours));
      theirs.push(await measure(servers.theirs));
    }
    context.record(name, { value: median(ours), against: median(theirs) });
  } catch (error) {
    context.fail(name, error);
  }
}

/** `isthmus store serve` as anybody would start it. */
async function startStore(): Promise<AsyncDisposable & { readonly endpoint: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-bench-'));
  const command = fileURLToPath(new URL('../../bin/isthmus', import.meta.url));
  const child = spawn(command, ['store', 'serve', '--data-dir', join(folder, 'data'), '--listen', '127.0.0.1:0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ISTHMUS_LOG_LEVEL: 'warn' },
  });
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const end = async (): Promise<void> => {
    child.kill('SIGTERM');
    await exited;
    await rm(folder, { recursive: true, force: true });
  };
  try {
    return { endpoint: `http://${await addressOf(child)}`, [Symbol.asyncDispose]: end };
  } catch (error) {
    await end();
    throw error;
  }
}

function addressOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = '';
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const found = /on (127\.0\.0\.1:\d+),/.exec(said);
      if (found?.[1]) resolve(found[1]);
    });
    child.once('exit', (code) => reject(new Error(`isthmus store serve ended with ${code}`)));
    child.once('error', reject);
  });
}
