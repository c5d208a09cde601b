import { describe } from '@jest/globals';
import { MemoryKernel } from '../../../kernel/index.ts';
import { describeDrivers } from './suite.ts';
import { prepare } from './prepare.ts';

describe.each(['tcx', 'clsact'] as const)('drivers on the in-memory kernel by %s', (tcMode) => {
  describeDrivers(async () => {
    const kernel = new MemoryKernel({ tcMode });
    return {
      kernel,
      pinDirectory: '/pins',
      ...(await prepare(kernel)),
      [Symbol.asyncDispose]: () => kernel[Symbol.asyncDispose](),
    };
  });
});
