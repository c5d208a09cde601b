import { MemoryKernel } from '../../../kernel/index.ts';
import { describeKernel } from './describe-kernel.ts';

for (const tcMode of ['tcx', 'clsact'] as const)
  describeKernel(`The in-memory kernel (${tcMode})`, async () => {
    const other = new MemoryKernel({ tcMode });
    return {
      kernel: new MemoryKernel({ tcMode, namespaceOf: (fd) => (fd === 3 ? other : undefined) }),
      other: { kernel: other, netns: 3 },
      pinDirectory: '/pins',
      cgroup: '/cgroup/test',
      [Symbol.asyncDispose]: async () => undefined,
    };
  });
