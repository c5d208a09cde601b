import { expect, test } from '@jest/globals';
import { missing, needs } from '../../support/probe.ts';

const describeIf = needs('linux');
describeIf('a need that is met', () => {
  test('runs its tests', () => {
    expect(missing('linux')).toBeUndefined();
  });
});
