import { describeState } from '../describe.ts';
import type { Kernel } from '../ports/index.ts';
import { MemoryBpf } from './memory-bpf.ts';
import { MemoryNetwork } from './memory-network.ts';

export interface MemoryKernelOptions {
  readonly tcMode?: 'tcx' | 'clsact';
  /** The namespace that a veth peer's `netns` descriptor stands for; absent: such a peer is seen nowhere. */
  readonly namespaceOf?: (fd: number) => MemoryKernel | undefined;
}

/**
 * One network namespace in memory: what `--kernel memory` and unit tests run on. It passes the same contract suite as
 * the real kernel and sends no packet. State outlives disposal, as it does in the kernel, so the same object serves an
 * agent that is stopped and started again.
 */
export class MemoryKernel implements Kernel {
  readonly network: MemoryNetwork;
  readonly bpf: MemoryBpf;

  constructor(options: MemoryKernelOptions = {}) {
    const { namespaceOf } = options;
    this.network = new MemoryNetwork({
      linkDeleted: (index) => this.bpf.linkDeleted(index),
      ...(namespaceOf ? { namespaceOf: (fd) => namespaceOf(fd)?.network } : {}),
    });
    this.bpf = new MemoryBpf(options.tcMode ?? 'tcx', (index) => this.network.hasLink(index));
  }

  async describe(): Promise<string> {
    return describeState(this.network, this.bpf.attached(), this.bpf.maps(), this.network.forwarding());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is held; the state stays.
  }
}
