import { etcdVersion, startEtcd } from '../../test/support/etcd.ts';
import { type RowSpec, type Suite, type SuiteContext, median } from '../suite.ts';
import { loadGenerator } from './embedded/load.ts';
import { startStore } from './embedded/store-process.ts';

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
    const load = await loadGenerator(context);
    await using etcd = await startEtcd({ fsync: true });
    await using ours = await startStore();
    const servers = { ours: ours.endpoint, theirs: etcd.endpoint };
    const rate = async (endpoint: string, ...args: readonly (string | number)[]): Promise<number> => {
      const { count, seconds } = await load(endpoint, ...args);
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
