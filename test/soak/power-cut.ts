import { cutRepeatedly } from '../guest/power-cut.ts';
import type { Soak } from './soak.ts';

const cuts = Number(process.env['ISTHMUS_POWER_CUTS'] ?? 20);
/** The small disk leaves the store without its log: every commit goes to the tables. */
const runs = [
  { seed: 11, cuts, diskMiB: 256 },
  { seed: 12, cuts, diskMiB: 256 },
  { seed: 13, cuts, diskMiB: 80 },
];

export const powerCut: Soak = {
  name: 'power-cut',
  title: `the embedded store in a guest whose power is cut ${cuts * runs.length} times, and two lies that must be caught`,
  run: async (print) => {
    let sound = true;
    for (const run of runs) {
      const report = await cutRepeatedly({ ...run, print: (line) => print(`  ${line}`) });
      const { violations, acknowledged, seen, revision, lostSectors } = report;
      print(
        `seed ${run.seed}, ${run.diskMiB} MiB: ${report.cuts} cuts, ${acknowledged} answers and ${seen} revisions seen, at ${revision}, ${lostSectors} sectors lost, ${violations.length} violations`,
      );
      for (const violation of violations) print(`  ${violation}`);
      sound &&= violations.length === 0;
    }
    for (const lie of [{ defect: 'never-syncs' }, { diskIgnoresFlushes: true }] as const) {
      const { violations } = await cutRepeatedly({ seed: 21, cuts: 6, ...lie });
      print(`${JSON.stringify(lie)}: ${violations[0] ?? 'NOT CAUGHT'}`);
      sound &&= violations.length > 0;
    }
    return sound;
  },
};
