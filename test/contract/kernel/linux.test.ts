import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createCgroup,
  createNamespace,
  deleteNamespace,
  mountBpffs,
  openLinuxKernel,
  removeCgroup,
  unmountBpffs,
} from '../../../kernel/index.ts';
import { needs } from '../../support/probe.ts';
import { describeKernel } from './describe-kernel.ts';
import type { KernelRig } from './rig.ts';

let rigs = 0;

/** Two fresh namespaces, a bpffs and a cgroup of their own; all gone afterwards. */
async function openRig(tcMode: 'auto' | 'clsact'): Promise<KernelRig> {
  const id = `isthmus-contract-${process.pid}-${++rigs}`;
  await using stack = new AsyncDisposableStack();
  const [here, there] = [id, `${id}-peer`].map((name) => {
    const namespace = stack.use(createNamespace(name));
    stack.defer(() => void deleteNamespace(name));
    return namespace;
  });
  if (!here || !there) throw new Error('No namespaces');
  const pinDirectory = mkdtempSync(join(tmpdir(), 'isthmus-bpffs-'));
  stack.defer(() => rmSync(pinDirectory, { recursive: true, force: true }));
  mountBpffs(pinDirectory);
  stack.defer(() => void unmountBpffs(pinDirectory));
  const cgroup = createCgroup(id);
  stack.defer(async () => void (await removeCgroup(cgroup)));
  const kernel = stack.use(await openLinuxKernel({ netns: here, tcMode }));
  const other = stack.use(await openLinuxKernel({ netns: there, tcMode }));
  // No link-local addresses: they come and go in their own time.
  for (const { network } of [kernel, other]) await network.setSysctl('ipv6/conf/default/addr_gen_mode', '1');
  const cleanup = stack.move();
  return {
    kernel,
    other: { kernel: other, netns: there.fd },
    pinDirectory,
    cgroup,
    [Symbol.asyncDispose]: () => cleanup.disposeAsync(),
  };
}

const describeIf = needs('linux', 'root', 'netns', 'libbpf', 'bpf');
describeKernel('Linux', () => openRig('auto'), describeIf);
describeKernel('Linux with clsact', () => openRig('clsact'), describeIf);
