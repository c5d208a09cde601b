import { crashRepeatedly } from '../integration/kvstore/crash/crash.ts';

export interface Soak {
  readonly name: string;
  readonly title: string;
  /** True when it found nothing wrong. */
  readonly run: (print: (line: string) => void) => Promise<boolean>;
}

const rounds = Number(process.env['ISTHMUS_CRASH_ROUNDS'] ?? 200);
const seeds = (process.env['ISTHMUS_CRASH_SEEDS'] ?? '1,2,3').split(',').map(Number);

export const storeCrash: Soak = {
  name: 'store-crash',
  title: `the embedded store, killed ${rounds} times for each of ${seeds.length} seeds`,
  run: async (print) => {
    let sound = true;
    for (const seed of seeds) {
      const { violations, acknowledged, revision } = await crashRepeatedly({ seed, rounds });
      print(`seed ${seed}: ${acknowledged} acknowledged, revision ${revision}, ${violations.length} violations`);
      for (const violation of violations) print(`  ${violation}`);
      sound &&= violations.length === 0;
    }
    return sound;
  },
};
