import type { Kernel } from '../../../kernel/index.ts';

/** A kernel for one test, and what it needs beside it. */
export interface KernelRig extends AsyncDisposable {
  /** A namespace with nothing but a loopback device that is down. */
  readonly kernel: Kernel;
  /** A second such namespace, for veth peers. */
  readonly other: { readonly kernel: Kernel; readonly netns: number };
  /** Where pins may go. */
  readonly pinDirectory: string;
  /** A cgroup of the test's own. */
  readonly cgroup: string;
}

export type OpenRig = () => Promise<KernelRig>;

/** The compiled test object, `test/fixtures/bpf/probe.bpf.c`. */
export const probeObject = new URL('../../fixtures/bpf/probe.bpf.o', import.meta.url).pathname;
