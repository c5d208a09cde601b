import { type Comparison, compareServers } from '../integration/kvstore/differential/run.ts';
import { everyFeature } from '../integration/kvstore/differential/features.ts';
import { startEtcd } from '../support/etcd.ts';
import { serveEngine } from '../support/served-engine.ts';
import type { Soak } from './soak.ts';

const operations = Number(process.env['ISTHMUS_DIFFERENTIAL_OPERATIONS'] ?? 2000);
const seedCount = Number(process.env['ISTHMUS_DIFFERENTIAL_SEEDS'] ?? 20);
/** To go on where a run was broken off. */
const firstSeed = Number(process.env['ISTHMUS_DIFFERENTIAL_FIRST_SEED'] ?? 101);
const leastSuccess = 0.6;

export const etcdDifferential: Soak = {
  name: 'etcd-differential',
  title: `the same ${operations} random operations on etcd and on the embedded store, for each of ${seedCount} seeds`,
  run: async (print) => {
    let sound = true;
    const features: Record<string, { done: number; ok: number }> = {};
    for (let seed = firstSeed; seed < firstSeed + seedCount; seed++) {
      await using etcd = await startEtcd({ defaultTiming: true });
      await using ours = await serveEngine('embedded');
      const found = await compareServers({ theirs: etcd.port, ours: ours.port }, { seed, operations, expiries: 2 });
      const [done, ok] = [sum(found, 'done'), sum(found, 'ok')];
      const { differences, watchEvents } = found;
      print(
        `seed ${seed}: ${done} operations, ${ok} succeed (${Math.round((100 * ok) / done)} %), ${watchEvents} watch lines, ${differences.length} differences`,
      );
      for (const difference of differences) print(`  ${JSON.stringify(difference, plain)}`);
      sound &&= differences.length === 0 && ok / done >= leastSuccess;
      for (const [name, counts] of Object.entries(found.features)) {
        const all = (features[name] ??= { done: 0, ok: 0 });
        all.done += counts.done;
        all.ok += counts.ok;
      }
    }
    for (const name of everyFeature) {
      const { done, ok } = features[name] ?? { done: 0, ok: 0 };
      print(`${name}: ${done}, of which ${ok} succeed`);
      sound &&= ok > 0;
    }
    return sound;
  },
};

function sum({ coverage }: Comparison, which: 'done' | 'ok'): number {
  return Object.values(coverage).reduce((total, counts) => total + counts[which], 0);
}

function plain(_name: string, value: unknown): unknown {
  if (typeof value === 'bigint') return String(value);
  // A Buffer has told its bytes by then.
  if (value !== null && typeof value === 'object' && 'data' in value && 'type' in value && value.type === 'Buffer')
    return Buffer.from(value.data as number[]).toString('latin1');
  return value;
}
