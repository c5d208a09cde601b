import { closeSync } from 'node:fs';
import { failedWith, libbpf, tcxAttachTypes } from '../bpf/index.ts';
import { kernelError } from '../abi/index.ts';

const BPF_PROG_TYPE_SCHED_CLS = 3;
/** r0 = 0; exit */
const smallestProgram = Buffer.from('b7000000000000009500000000000000', 'hex');
/** No device has it. */
const nowhere = 0x7fffffff;

/** Loads the smallest tc program there is. @throws {KernelError} when bpf(2) is refused. */
export function loadSmallestProgram(): number {
  const fd = libbpf.bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, 'isthmus_probe', 'Apache-2.0', smallestProgram, 2, null);
  if (fd < 0) throw kernelError('Cannot load an eBPF program', fd);
  return fd;
}

/**
 * Whether the kernel knows TCX links (6.6), by trying one at a device that does not exist: a kernel without refuses the
 * attach type before it looks for the device.
 */
export function hasTcx(): boolean {
  const program = loadSmallestProgram();
  try {
    const link = libbpf.bpf_link_create(program, nowhere, tcxAttachTypes.ingress, null);
    if (link >= 0) closeSync(link);
    return link >= 0 || failedWith(link, 'ENODEV');
  } finally {
    closeSync(program);
  }
}
