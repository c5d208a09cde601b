import { closeSync } from 'node:fs';
import { failedWith, libbpf, tcxAttachTypes } from '../bpf/index.ts';
import { loadSmallestProgram, programTypes } from './smallest-program.ts';

/** No device has it. */
const nowhere = 0x7fffffff;

/**
 * Whether the kernel knows TCX links (6.6), by trying one at a device that does not exist: a kernel without refuses the
 * attach type before it looks for the device.
 * @throws {MissingFeatureError} without libbpf; {@link KernelError} when bpf(2) is refused.
 */
export function hasTcx(): boolean {
  const program = loadSmallestProgram(programTypes.schedCls);
  try {
    const link = libbpf.bpf_link_create(program, nowhere, tcxAttachTypes.ingress, null);
    if (link >= 0) closeSync(link);
    return link >= 0 || failedWith(link, 'ENODEV');
  } finally {
    closeSync(program);
  }
}
