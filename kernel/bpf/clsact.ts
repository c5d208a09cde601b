import type { BpfAttachment, BpfHook } from '../ports/index.ts';
import { kernelError } from '../abi/index.ts';
import { checkedBpf, failedWith, libbpf } from './libbpf.ts';

type TcHook = BpfHook & { readonly type: 'tc' };

const attachPoints = { ingress: 1, egress: 2 } as const;
const BPF_TC_F_REPLACE = 1;
const handle = 1;
const priority = 1;

/**
 * Attaches a tc program as filter of a clsact qdisc, for kernels without TCX. Handle and priority are fixed, so that a
 * filter of an earlier process is replaced in place; there is nothing to pin, since the filter stays with the device.
 */
export function attachClsact(
  hook: TcHook,
  programFd: number,
  name: string,
  inside: <T>(body: () => T) => T,
): BpfAttachment {
  inside(() => {
    const created = libbpf.bpf_tc_hook_create(tcHook(hook));
    if (created < 0 && !failedWith(created, 'EEXIST')) throw kernelError(`Cannot add clsact for ${name}`, created);
    checkedBpf(`Cannot attach ${name}`, libbpf.bpf_tc_attach(tcHook(hook), tcOptions(programFd, BPF_TC_F_REPLACE)));
  });
  return new ClsactAttachment(hook, inside);
}

/** Takes our filter away; the qdisc stays, for it may hold filters of others. */
export function detachClsact(hook: TcHook, inside: <T>(body: () => T) => T): void {
  const result = inside(() => libbpf.bpf_tc_detach(tcHook(hook), tcOptions(0, 0)));
  if (result < 0 && !failedWith(result, 'ENOENT', 'ENODEV', 'EINVAL'))
    throw kernelError(`Cannot detach the ${hook.direction} filter of link ${hook.link}`, result);
}

class ClsactAttachment implements BpfAttachment {
  readonly hook: TcHook;
  readonly #inside: <T>(body: () => T) => T;

  constructor(hook: TcHook, inside: <T>(body: () => T) => T) {
    this.hook = hook;
    this.#inside = inside;
  }

  async detach(): Promise<void> {
    detachClsact(this.hook, this.#inside);
  }

  [Symbol.dispose](): void {
    // The filter belongs to the device; there is no descriptor.
  }
}

/** struct bpf_tc_hook: sz u64, ifindex 8, attach point 12, parent 16. */
function tcHook(hook: TcHook): Buffer {
  const bytes = Buffer.alloc(24);
  bytes.writeBigUInt64LE(24n, 0);
  bytes.writeInt32LE(hook.link, 8);
  bytes.writeInt32LE(attachPoints[hook.direction], 12);
  return bytes;
}

/** struct bpf_tc_opts: sz u64, prog_fd 8, flags 12, prog_id 16, handle 20, priority 24. */
function tcOptions(programFd: number, flags: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeBigUInt64LE(32n, 0);
  bytes.writeInt32LE(programFd, 8);
  bytes.writeUInt32LE(flags, 12);
  bytes.writeUInt32LE(handle, 20);
  bytes.writeUInt32LE(priority, 24);
  return bytes;
}
