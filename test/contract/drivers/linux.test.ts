import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createNamespace, deleteNamespace, mountBpffs, openLinuxKernel, unmountBpffs } from '../../../kernel/index.ts';
import { needs } from '../../support/probe.ts';
import { describeDrivers } from './suite.ts';
import { prepare } from './prepare.ts';

let places = 0;

for (const tcMode of ['tcx', 'clsact'] as const)
  needs(
    'root',
    'netns',
    'libbpf',
    'bpf',
  )(`drivers on the real kernel by ${tcMode}`, () => {
    describeDrivers(async () => {
      const stack = new AsyncDisposableStack();
      try {
        const namespace = createNamespace(`dtdr${process.pid}x${++places}`);
        stack.defer(() => {
          namespace[Symbol.dispose]();
          deleteNamespace(namespace.name);
        });
        const pinDirectory = mkdtempSync(join(tmpdir(), 'isthmus-drivers-'));
        mountBpffs(pinDirectory);
        stack.defer(() => void unmountBpffs(pinDirectory));
        const kernel = stack.use(await openLinuxKernel({ netns: namespace, tcMode }));
        return { kernel, pinDirectory, ...(await prepare(kernel)), [Symbol.asyncDispose]: () => stack.disposeAsync() };
      } catch (error) {
        await stack.disposeAsync();
        throw error;
      }
    });
  });
