import { writeFileSync } from 'node:fs';

/**
 * The end of every test run: what was left out and why, then one line `N passed, N failed, N skipped`, always last.
 * A test file that could not be loaded counts as one failure. With `ISTHMUS_TEST_RESULTS=FILE` the same by test file, as
 * JSON for test/support/second-look.mjs.
 */
export default class SummaryLine {
  onRunComplete(_contexts, results) {
    const text = summary(results);
    const file = process.env['ISTHMUS_TEST_RESULTS'];
    if (file) writeFileSync(file, JSON.stringify(results.testResults.map(countsOf)));
    // jest adds its own summary after every other reporter: only the end of the process comes later. It is made an end at
    // once: what tests have left of Node's handles can keep Node busy for ever in taking down its environment.
    process.once('exit', (code) => {
      process.stdout.write(text);
      // jest sets its exit code in a listener behind this one.
      process.exit(results.success ? code : 1);
    });
  }
}

function countsOf(suite) {
  return {
    file: suite.testFilePath,
    passed: suite.numPassingTests,
    failed: suite.numFailingTests + (suite.testExecError ? 1 : 0),
    skipped: suite.numPendingTests + suite.numTodoTests,
    failures: suite.testResults.filter(({ status }) => status === 'failed').map(({ fullName }) => fullName),
  };
}

function summary(results) {
  const leftOut = new Map();
  for (const test of results.testResults.flatMap((file) => file.testResults)) {
    if (test.status !== 'pending' && test.status !== 'todo') continue;
    const reason = reasonOf(test) ?? 'not asked for (name pattern)';
    leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1);
  }
  const lines = [...leftOut].map(([reason, count]) => `  ${count} ${count === 1 ? 'test' : 'tests'}: ${reason}\n`);
  const skipped = results.numPendingTests + results.numTodoTests;
  const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
  const head = lines.length > 0 ? `\nLeft out:\n${lines.join('')}` : '';
  return `${head}\n${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped\n`;
}

function reasonOf(test) {
  const found = test.ancestorTitles.map((title) => /\(left out: (.*)\)$/.exec(title)).find(Boolean);
  return found?.[1];
}
