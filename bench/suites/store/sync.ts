import { etcdVersion, startEtcd } from '../../../test/support/etcd.ts';
import type { RowSpec } from '../../suite.ts';
import { loadGenerator } from '../embedded/load.ts';
import { type Part, inTurn, medianOf } from './parts.ts';
import { type Reading, Worker, readingOf } from './processes.ts';

const rounds = 5;
const keys = 500_000;
const prefix = 'cilium/state/ip/v1/default/';
/** As many as our own client asks for. */
const page = 65_536;

const syncName = 'store: initial sync of 500k keys, list and index';
const cpuName = 'store: initial sync, client CPU an entry';
const delayedName = 'store: 50 ms round trip, one connection';
const delayedShareName = 'store: 50 ms round trip against loopback';

const rows: readonly RowSpec[] = [
  {
    name: syncName,
    unit: 'entries/s',
    rival: 'Go client, list only, the faster of two plans',
    better: 'more',
    bar: 0.75,
    aim: 1,
  },
  { name: cpuName, unit: 'µs', better: 'less', bar: 1.5, aim: 1 },
  { name: delayedName, unit: 'entries/s', better: 'more', bar: 200_000 },
  { name: delayedShareName, unit: 'entries/s', rival: 'loopback', better: 'more', aim: 0.9 },
];

/** An agent's first listing of a large cluster: from bytes to rows of its view. */
export const sync: Part = {
  rows,
  measure: async (bench) => {
    if (!bench.wanted(...rows.map(({ name }) => name))) return;
    const load = await loadGenerator(bench.context);
    await using etcd = await startEtcd();
    bench.note(`filling etcd ${etcdVersion} with ${keys} addresses`);
    await load(etcd.endpoint, 'ips-fill', prefix, keys);
    await using reader = new Worker('reader.ts');
    const list = async (endpoint: string): Promise<Reading> =>
      readingOf(await reader.ask('list', endpoint, prefix), keys);
    const rate = ({ count, seconds }: Reading): number => count / seconds;
    for (let i = 0; i < 3; i++) await list(etcd.endpoint);
    await bench.rows([syncName, cpuName, delayedName, delayedShareName], async () => {
      const runs = await inTurn(
        rounds,
        () => list(etcd.endpoint),
        async () => ({
          pages: (await load(etcd.endpoint, 'ips-list', prefix, page, 1)) as Reading,
          oneCall: (await load(etcd.endpoint, 'ips-list', prefix, 0, 1)) as Reading,
        }),
      );
      bench.keep(syncName, runs);
      const loopback = medianOf(runs.ours, rate);
      const theirs = Math.max(
        medianOf(runs.theirs, ({ pages }) => rate(pages)),
        medianOf(runs.theirs, ({ oneCall }) => rate(oneCall)),
      );
      bench.record(syncName, loopback, theirs);
      bench.record(
        cpuName,
        medianOf(runs.ours, ({ cpu, count }) => (cpu / count) * 1e6),
      );
      if (!bench.wanted(delayedName, delayedShareName)) return;
      await using proxy = new Worker('delay-proxy.ts', String(etcd.port), '25');
      const endpoint = await proxy.line();
      const delayed: Reading[] = [];
      for (let i = 0; i < rounds; i++) delayed.push(await list(endpoint));
      bench.keep(delayedName, delayed);
      bench.record(delayedName, medianOf(delayed, rate));
      bench.record(delayedShareName, medianOf(delayed, rate), loopback);
    });
  },
};
