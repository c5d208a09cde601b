import { describe, expect, test } from '@jest/globals';
import { engineOptions, engineSettings } from '../../../cli/engine-options.ts';
import { parseOptions } from '../../../runtime/options/index.ts';

const settingsOf = (...argv: readonly string[]) => engineSettings(parseOptions(engineOptions, { argv }).values);

describe('how the embedded store keeps house', () => {
  test.each([
    { argv: [], autoCompaction: { mode: 'age', retentionMs: 300_000 } },
    { argv: ['--auto-compaction-retention', '1h30m'], autoCompaction: { mode: 'age', retentionMs: 5_400_000 } },
    { argv: ['--auto-compaction-mode', 'revision'], autoCompaction: { mode: 'revisions', revisions: 10_000 } },
    {
      argv: ['--auto-compaction-mode=revision', '--auto-compaction-retention=50'],
      autoCompaction: { mode: 'revisions', revisions: 50 },
    },
    { argv: ['--auto-compaction-mode=off'], autoCompaction: { mode: 'off' } },
  ])('$argv', ({ argv, autoCompaction }) => {
    expect(settingsOf(...argv)).toEqual({ autoCompaction, quotaBytes: 2 * 1024 ** 3 });
  });

  test('its quota is a number of bytes', () => {
    expect(settingsOf('--quota-backend-bytes', '20000000').quotaBytes).toBe(20_000_000);
    expect(() => settingsOf('--quota-backend-bytes', '1')).toThrow('at least 16777216');
  });

  test.each([
    ['--auto-compaction-retention=1000'],
    ['--auto-compaction-retention=0'],
    ['--auto-compaction-mode=revision', '--auto-compaction-retention=5m'],
    ['--auto-compaction-mode=off', '--auto-compaction-retention=5m'],
  ])('%s %s is refused', (...argv) => {
    expect(() => settingsOf(...argv.filter((one) => typeof one === 'string'))).toThrow('--auto-compaction-retention');
  });
});
