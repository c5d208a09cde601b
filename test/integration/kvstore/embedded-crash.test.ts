import { expect, jest, test } from '@jest/globals';
import { crashRepeatedly } from './crash/crash.ts';

/** More by hand: `ISTHMUS_CRASH_ROUNDS=200 npm run test:integration -- embedded-crash`, or `npm run soak -- store-crash`. */
const rounds = Number(process.env['ISTHMUS_CRASH_ROUNDS'] ?? 12);
const seed = Number(process.env['ISTHMUS_CRASH_SEED'] ?? 1);

jest.setTimeout(120_000 + rounds * 20_000);

test(`a store whose process is killed ${rounds} times loses nothing that it acknowledged`, async () => {
  const { violations, acknowledged } = await crashRepeatedly({ seed, rounds });
  expect(violations).toEqual([]);
  expect(acknowledged).toBeGreaterThan(rounds * 5);
});

test('a store that answers before its write is on disk is caught', async () => {
  const { violations } = await crashRepeatedly({ seed, rounds: 8, defect: 'acknowledges-early' });
  expect(violations.join('\n')).toMatch(/is lost/);
});

test('a store that drops a row is caught', async () => {
  const { violations } = await crashRepeatedly({ seed, rounds: 8, defect: 'drops-a-row' });
  expect(violations.join('\n')).toMatch(/history says|lists other keys/);
});

test('a log that lacks a row is caught', async () => {
  const { violations } = await crashRepeatedly({ seed, rounds: 8, defect: 'logs-a-row-less' });
  expect(violations.join('\n')).toMatch(/history says|lists other keys/);
});

test('a store that takes for written what is in its log only is caught', async () => {
  const { violations } = await crashRepeatedly({ seed, rounds: 8, defect: 'marks-what-is-not-applied' });
  expect(violations.join('\n')).toMatch(/lost|history says|no events|ahead/);
});
