import type { Logger } from '../runtime/log/index.ts';
import { LinuxBpf } from './bpf/index.ts';
import { describeState } from './describe.ts';
import { type Inside, LinuxNetwork } from './netlink/index.ts';
import { type NamespaceHandle, runInNamespace } from './netns/index.ts';
import { type Kernel, MissingFeatureError } from './ports/index.ts';
import { hasTcx } from './probe/index.ts';

export interface LinuxKernelOptions {
  /** Work in this network namespace, which the caller keeps open; absent: in the one of the calling thread. */
  readonly netns?: NamespaceHandle;
  /** `auto` takes TCX where the kernel has it (6.6). */
  readonly tcMode?: 'auto' | 'tcx' | 'clsact';
  readonly log?: Logger;
}

/**
 * The kernel of this machine, seen from one network namespace.
 * @throws {MissingFeatureError} not Linux, no libbpf, or no TCX though it was asked for.
 * @throws {KernelError} when bpf(2) is refused.
 */
export async function openLinuxKernel(options: LinuxKernelOptions = {}): Promise<LinuxKernel> {
  const { netns, tcMode = 'auto', log } = options;
  const tcx = tcMode === 'clsact' ? false : hasTcx();
  if (tcMode === 'tcx' && !tcx)
    throw new MissingFeatureError('TCX', 'this kernel is older than 6.6; start with --tc-mode auto or clsact');
  const inside: Inside = netns ? (body) => runInNamespace(netns, body) : (body) => body();
  log?.debug('Opened the kernel', { netns: netns?.name, tcMode: tcx ? 'tcx' : 'clsact' });
  return new LinuxKernel(new LinuxNetwork(inside), new LinuxBpf({ tcMode: tcx ? 'tcx' : 'clsact', inside }));
}

/** Links, routes and eBPF of one network namespace. Disposing of it closes descriptors; kernel state stays. */
export class LinuxKernel implements Kernel {
  readonly network: LinuxNetwork;
  readonly bpf: LinuxBpf;

  constructor(network: LinuxNetwork, bpf: LinuxBpf) {
    this.network = network;
    this.bpf = bpf;
  }

  async describe(): Promise<string> {
    return describeState(this.network, this.bpf.attached(), this.bpf.maps());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.bpf[Symbol.dispose]();
    this.network[Symbol.dispose]();
  }
}
