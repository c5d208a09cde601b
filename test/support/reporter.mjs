/**
 * The end of every test run: what was left out and why, then one line `N passed, N failed, N skipped`, always last.
 * A test file that could not be loaded counts as one failure.
 */
export default class SummaryLine {
  onRunComplete(_contexts, results) {
    const leftOut = new Map();
    for (const file of results.testResults)
      for (const test of file.testResults) {
        if (test.status !== 'pending' && test.status !== 'todo') continue;
        const reason = reasonOf(test) ?? 'not asked for (name pattern or test.skip)';
        leftOut.set(reason, (leftOut.get(reason) ?? 0) + 1);
      }
    const skipped = results.numPendingTests + results.numTodoTests;
    const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
    const lines = [...leftOut]
      .sort()
      .map(([reason, count]) => `  ${count} ${count === 1 ? 'test' : 'tests'}: ${reason}`);
    if (lines.length > 0) process.stdout.write(`\nLeft out:\n${lines.join('\n')}\n`);
    process.stdout.write(`\n${results.numPassedTests} passed, ${failed} failed, ${skipped} skipped\n`);
  }
}

function reasonOf(test) {
  for (const title of test.ancestorTitles) {
    const found = /\(left out: (.*)\)$/.exec(title);
    if (found) return found[1];
  }
  return undefined;
}
