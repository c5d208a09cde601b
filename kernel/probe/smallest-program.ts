import { libbpf } from '../bpf/index.ts';
import { kernelError } from '../abi/index.ts';

/** r0 = 1; exit */
const instructions = Buffer.from('b7000000010000009500000000000000', 'hex');

export const programTypes = { schedCls: 3, cgroupSockAddr: 18 } as const;

/**
 * Loads the smallest program of a type and returns its descriptor.
 * @throws {MissingFeatureError} without libbpf; {@link KernelError} when bpf(2) is refused.
 */
export function loadSmallestProgram(type: number, expectedAttachType = 0): number {
  // struct bpf_prog_load_opts up to the member that matters: sz u64, attempts 8, expected_attach_type 12.
  const options = Buffer.alloc(16);
  options.writeBigUInt64LE(16n, 0);
  options.writeUInt32LE(expectedAttachType, 12);
  const count = instructions.length / 8;
  const fd = libbpf.bpf_prog_load(type, 'isthmus_probe', 'Apache-2.0', instructions, count, options);
  if (fd < 0) throw kernelError('Cannot load an eBPF program', fd);
  return fd;
}
