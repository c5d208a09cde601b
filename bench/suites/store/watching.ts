import { etcdVersion, startEtcd } from '../../../test/support/etcd.ts';
import type { RowSpec } from '../../suite.ts';
import { loadGenerator, loadProgram } from '../embedded/load.ts';
import { type Part, type StoreBench, inTurn, medianOf } from './parts.ts';
import { type Reading, Worker, readingOf } from './processes.ts';

const rival = 'Go client';
const floodEvents = 300_000;
const floodRounds = 5;
const ratePerSecond = 1000;
const puts = 5000;
const latencyRounds = 5;

const floodName = 'store: watch flood, one event a response';
const p50Name = 'store: put to applied in memory, 1k/s, p50';
const p99Name = 'store: put to applied in memory, 1k/s, p99';

const rows: readonly RowSpec[] = [
  { name: floodName, unit: 'events/s', rival, better: 'more', bar: 1.5, aim: 2.5 },
  { name: p50Name, unit: 'ms', rival, better: 'less', bar: 1.2, aim: 1 },
  { name: p99Name, unit: 'ms', rival, better: 'less', bar: 1.5, aim: 1.2 },
];

/** Events as they come: as many as can be taken, and how late they are. */
export const watching: Part = {
  rows,
  measure: async (bench) => {
    await flood(bench);
    await latency(bench);
  },
};

async function flood(bench: StoreBench): Promise<void> {
  await bench.rows([floodName], async () => {
    const load = await loadGenerator(bench.context);
    await using server = new Worker('flood-server.ts', String(floodEvents));
    const endpoint = await server.line();
    await using reader = new Worker('reader.ts');
    const ours = async (): Promise<Reading> => readingOf(await reader.ask('flood', endpoint, floodEvents), floodEvents);
    for (let i = 0; i < 2; i++) await ours();
    const runs = await inTurn(
      floodRounds,
      ours,
      async () => (await load(endpoint, 'ips-flood', floodEvents)) as Reading,
    );
    bench.keep(floodName, runs);
    const rate = ({ count, seconds }: Reading): number => count / seconds;
    bench.record(floodName, medianOf(runs.ours, rate), medianOf(runs.theirs, rate));
  });
}

async function latency(bench: StoreBench): Promise<void> {
  await bench.rows([p50Name, p99Name], async () => {
    const load = await loadGenerator(bench.context);
    const program = await loadProgram(bench.context);
    bench.note(`etcd ${etcdVersion} without a sync to disk, which would be most of the time`);
    await using etcd = await startEtcd();
    await using reader = new Worker('reader.ts');
    let run = 0;
    const ours = async (): Promise<Reading> => {
      const prefix = `ours/${run++}/`;
      const following = await reader.ask('follow', etcd.endpoint, prefix, puts);
      return await during(following, prefix, () => reader.line());
    };
    const theirs = async (): Promise<Reading> => {
      const prefix = `theirs/${run++}/`;
      await using follower = Worker.program(program, etcd.endpoint, 'ips-follow', prefix, String(puts));
      return await during(await follower.line(), prefix, () => follower.line());
    };
    const during = async (said: string, prefix: string, result: () => Promise<string>): Promise<Reading> => {
      if (said !== 'following') throw new Error(`A reader said ${said}`);
      await load(etcd.endpoint, 'ips-put', prefix, ratePerSecond, puts);
      return readingOf(await result(), puts);
    };
    await ours();
    const runs = await inTurn(latencyRounds, ours, theirs);
    bench.keep(p50Name, runs);
    const of = (member: 'p50' | 'p99') => (reading: Reading) => reading[member] ?? Number.NaN;
    bench.record(p50Name, medianOf(runs.ours, of('p50')), medianOf(runs.theirs, of('p50')));
    bench.record(p99Name, medianOf(runs.ours, of('p99')), medianOf(runs.theirs, of('p99')));
  });
}
