import { etcdVersion, startEtcd } from '../../../test/support/etcd.ts';
import type { RowSpec } from '../../suite.ts';
import { loadGenerator } from '../embedded/load.ts';
import { startStore } from '../embedded/store-process.ts';
import { type Part, type StoreBench, inTurn, medianOf } from './parts.ts';

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
export const serving: Part = {
  rows,
  measure: async (bench) => {
    if (!bench.wanted(...rows.map(({ name }) => name))) return;
    const load = await loadGenerator(bench.context);
    await using etcd = await startEtcd({ fsync: true });
    await using ours = await startStore();
    const servers = { ours: ours.endpoint, theirs: etcd.endpoint };
    const rate = async (endpoint: string, ...args: readonly (string | number)[]): Promise<number> => {
      const { count, seconds } = await load(endpoint, ...args);
      return count / seconds;
    };
    for (const [inFlight, count] of Object.entries(puts))
      await compare(bench, putName(inFlight), servers, (endpoint) => rate(endpoint, 'put', inFlight, count));
    await compare(bench, fanoutName, servers, (endpoint) => rate(endpoint, 'fanout', watchers, fanoutPuts));
    if (!bench.wanted(rangeName)) return;
    bench.note(`filling both with ${rangeKeys} keys`);
    for (const endpoint of Object.values(servers)) await rate(endpoint, 'fill', rangeKeys);
    await compare(bench, rangeName, servers, (endpoint) => rate(endpoint, 'range', rangeKeys, 5));
  },
};

async function compare(
  bench: StoreBench,
  name: string,
  servers: { readonly ours: string; readonly theirs: string },
  measure: (endpoint: string) => Promise<number>,
): Promise<void> {
  await bench.rows([name], async () => {
    const runs = await inTurn(
      rounds,
      () => measure(servers.ours),
      () => measure(servers.theirs),
    );
    bench.keep(name, runs);
    bench.record(
      name,
      medianOf(runs.ours, (run) => run),
      medianOf(runs.theirs, (run) => run),
    );
  });
}
