import { describe, expect, test } from '@jest/globals';
import { filesToRepeat, mostFiles, total } from '../../support/second-look.mjs';

const suite = (file: string, passed: number, ...failures: string[]) => ({
  file,
  passed,
  failed: failures.length,
  skipped: 1,
  failures,
});

describe('a second look at test files that failed', () => {
  test('repeats those that failed, and nothing where many did', () => {
    expect(filesToRepeat([suite('a', 3), suite('b', 1, 'x')])).toEqual(['b']);
    expect(filesToRepeat(Array.from({ length: mostFiles + 1 }, (_, i) => suite(`${i}`, 0, 'x')))).toEqual([]);
  });

  test('names what passes when run alone', () => {
    expect(total([suite('a', 3), suite('b', 1, 'x')], [suite('b', 2)])).toEqual({
      passed: 5,
      failed: 0,
      skipped: 2,
      unsteady: ['b: x'],
    });
  });

  test('counts what fails again as failed', () => {
    expect(total([suite('a', 3), suite('b', 0, 'x', 'y')], [suite('b', 1, 'y')])).toEqual({
      passed: 4,
      failed: 1,
      skipped: 2,
      unsteady: ['b: x'],
    });
  });

  test('counts a file that fails only the second time', () => {
    expect(total([suite('b', 0, 'x')], [suite('b', 0, 'y')])).toMatchObject({ failed: 1, unsteady: ['b: x'] });
  });
});
