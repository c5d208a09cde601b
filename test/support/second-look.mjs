/**
 * A test file that fails among all the others, on a machine that other work shares, is run once more alone: a defect fails
 * again, and what passes then is named as unsteady, never hidden.
 *
 *     node second-look.mjs files FIRST           the files to run again, one a line; none when too many have failed
 *     node second-look.mjs total FIRST SECOND    what is unsteady, then `N passed, N failed, N skipped`; there may be no SECOND
 *
 * FIRST and SECOND are what the reporter writes to `ISTHMUS_TEST_RESULTS`.
 */
import { existsSync, readFileSync } from 'node:fs';

/** More failed files than this are no matter of timing. */
export const mostFiles = 3;

/** @returns {string[]} */
export function filesToRepeat(first) {
  const failed = first.filter((suite) => suite.failed > 0).map(({ file }) => file);
  return failed.length <= mostFiles ? failed : [];
}

/** Counts of both runs, in which the second word on a file is the last one. */
export function total(first, second) {
  const again = new Map(second.map((suite) => [suite.file, suite]));
  const last = first.map((suite) => again.get(suite.file) ?? suite);
  const sum = (member) => last.reduce((count, suite) => count + suite[member], 0);
  const unsteady = first.flatMap((suite) => {
    const repeated = again.get(suite.file);
    if (!repeated) return [];
    return suite.failures
      .filter((title) => !repeated.failures.includes(title))
      .map((title) => `${suite.file}: ${title}`);
  });
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped'), unsteady };
}

const [verb, ...files] = process.argv.slice(2);
const [first = [], second = []] =
  verb === 'files' || verb === 'total'
    ? files.filter((file) => existsSync(file)).map((file) => JSON.parse(readFileSync(file, 'utf8')))
    : [];
if (verb === 'files') for (const file of filesToRepeat(first)) console.log(file);
if (verb === 'total') {
  const { passed, failed, skipped, unsteady } = total(first, second);
  for (const line of unsteady) console.log(`unsteady, passed when run alone: ${line}`);
  console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
}
