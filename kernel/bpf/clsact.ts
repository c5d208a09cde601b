import { closeSync } from 'node:fs';
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

/** Takes away a filter that runs a program of one of these names; one that somebody else put there stays. */
export function dropClsact(hook: TcHook, programs: readonly string[], inside: <T>(body: () => T) => T): void {
  const options = tcOptions(0, 0);
  const found = inside(() => libbpf.bpf_tc_query(tcHook(hook), options));
  if (found < 0) return;
  const name = programName(options.readUInt32LE(16));
  // The kernel keeps 15 bytes of a name.
  if (programs.some((program) => program.slice(0, 15) === name)) detachClsact(hook, inside);
}

/** Takes our filter away; the qdisc stays, for it may hold filters of others. */
function detachClsact(hook: TcHook, inside: <T>(body: () => T) => T): void {
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

/** Name of a loaded program, in `struct bpf_prog_info` at 64; undefined when it is gone. */
function programName(id: number): string | undefined {
  const fd = libbpf.bpf_prog_get_fd_by_id(id);
  if (fd < 0) return undefined;
  try {
    const info = Buffer.alloc(80);
    const read = libbpf.bpf_obj_get_info_by_fd(fd, info, new Uint32Array([info.length]));
    return read < 0 ? undefined : info.toString('utf8', 64, 80).replace(/\0.*$/s, '');
  } finally {
    closeSync(fd);
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
