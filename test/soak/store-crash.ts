import { crashRepeatedly } from '../integration/kvstore/crash/crash.ts';
import type { Soak } from './soak.ts';

const rounds = Number(process.env['ISTHMUS_CRASH_ROUNDS'] ?? 200);
const seeds = (process.env['ISTHMUS_CRASH_SEEDS'] ?? '1,2,3,4,5').split(',').map(Number);

export const storeCrash: Soak = {
  name: 'store-crash',
  title: `the embedded store, killed ${rounds * seeds.length} times (${rounds} for each of ${seeds.length} seeds)`,
  run: async (print) => {
    let sound = true;
    for (const seed of seeds) {
      const { violations, kills, acknowledged, seen, revision } = await crashRepeatedly({ seed, rounds });
      const found = `${violations.length} violations`;
      print(
        `seed ${seed}: ${kills} kills, ${acknowledged} answers and ${seen} revisions seen, at ${revision}, ${found}`,
      );
      for (const violation of violations) print(`  ${violation}`);
      sound &&= violations.length === 0;
    }
    return sound;
  },
};
