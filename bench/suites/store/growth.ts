import { etcdVersion, startEtcd } from '../../../test/support/etcd.ts';
import type { RowSpec } from '../../suite.ts';
import { loadGenerator } from '../embedded/load.ts';
import { type Part, inTurn, medianOf } from './parts.ts';
import { type Held, Worker, heldOf, readingOf } from './processes.ts';

const rounds = 5;
const million = 1_000_000;
const few = 100_000;
const clusters = 255;

const bytesName = 'store: memory an IP entry, of 1M';
const rssName = 'store: 1M entries, resident memory over baseline';
const pauseName = 'store: 1M entries, worst GC pause';
const sizeName = 'store: growth, CPU an entry at 1M entries';
const clustersName = 'store: growth, CPU an entry in 255 clusters, of 1M';

const clusterName = 'store: growth, CPU a cluster more, at 255';

/** What may pass for noise of the machine: a twentieth. */
const notMore = 1.05;

const rows: readonly RowSpec[] = [
  { name: bytesName, unit: 'B', better: 'less', bar: 48, aim: 36 },
  { name: rssName, unit: 'MB', better: 'less', bar: 120, aim: 80 },
  { name: pauseName, unit: 'ms', better: 'less', bar: 15, aim: 8 },
  { name: sizeName, unit: 'µs', rival: '100k entries', better: 'less', bar: notMore, aim: 1 },
  { name: clustersName, unit: 'µs', rival: 'one cluster', better: 'less', bar: notMore, aim: 1 },
  { name: clusterName, unit: 'ms', better: 'less', bar: 1 },
];

/** A million addresses: what they take, and whether many cost more each than few. */
export const growth: Part = {
  rows,
  measure: async (bench) => {
    if (!bench.wanted(...rows.map(({ name }) => name))) return;
    const load = await loadGenerator(bench.context);
    await using etcd = await startEtcd({ flags: [`--quota-backend-bytes=${8 * 2 ** 30}`] });
    bench.note(`filling etcd ${etcdVersion} with two million addresses`);
    await load(etcd.endpoint, 'ips-fill', 'few/', few);
    await load(etcd.endpoint, 'ips-fill', 'one/', million);
    await bench.rows([bytesName, rssName, pauseName], async () => {
      const runs: Held[] = [];
      for (let i = 0; i < rounds; i++) {
        await using reader = new Worker('reader.ts');
        runs.push(heldOf(await reader.ask('hold', etcd.endpoint, 'few/', 'one/'), million));
      }
      bench.keep(bytesName, runs);
      bench.record(
        bytesName,
        medianOf(runs, ({ bytesPerEntry }) => bytesPerEntry),
      );
      bench.record(
        rssName,
        medianOf(runs, ({ rssBytes }) => rssBytes / 1e6),
      );
      bench.record(
        pauseName,
        medianOf(runs, ({ worstPauseMs, fullPauseMs }) => Math.max(worstPauseMs, fullPauseMs)),
      );
    });
    await using reader = new Worker('reader.ts');
    const cost = async (count: number, ...prefixes: readonly string[]): Promise<number> => {
      const { cpu } = readingOf(await reader.ask('list', etcd.endpoint, ...prefixes), count);
      return (cpu / count) * 1e6;
    };
    const compare = async (
      names: readonly [string, ...string[]],
      subject: () => Promise<number>,
      against: () => Promise<number>,
    ): Promise<void> => {
      const [name, more] = names;
      await bench.rows(names, async () => {
        // Both warm.
        await against();
        await subject();
        const runs = await inTurn(rounds, subject, against);
        bench.keep(name, runs);
        const [ours, theirs] = [runs.ours, runs.theirs].map((all) => medianOf(all, (run) => run)) as [number, number];
        bench.record(name, ours, theirs);
        // Microseconds an entry, of a million, are seconds.
        if (more !== undefined) bench.record(more, ((ours - theirs) * 1000) / clusters);
      });
    };
    const one = (): Promise<number> => cost(million, 'one/');
    await compare([sizeName], one, () => cost(few, 'few/'));
    if (!bench.wanted(clustersName, clusterName)) return;
    await load(etcd.endpoint, 'ips-fill', 'many/', million, clusters);
    const many = Array.from({ length: clusters }, (_, i) => `many/${i}/`);
    await compare([clustersName, clusterName], () => cost(million, ...many), one);
  },
};
