import { stat } from 'node:fs/promises';
import { expect, test } from '@jest/globals';

class Special extends Error {}

test('what Node itself throws is an Error here, as it is when the program runs', async () => {
  const error: unknown = await stat('/nowhere/at/all').catch((thrown: unknown) => thrown);
  expect([error instanceof Error, error instanceof Special, error instanceof TypeError]).toEqual([true, false, false]);
  expect([new Special() instanceof Special, new Special() instanceof Error, {} instanceof Error]).toEqual([
    true,
    true,
    false,
  ]);
});
