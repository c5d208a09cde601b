import { closeSync, openSync, statSync } from 'node:fs';
import { KernelError, type BpfAttachment, type BpfHook, type CgroupAttach } from '../ports/index.ts';
import { asKernelError, kernelError } from '../abi/index.ts';
import { libbpf } from './libbpf.ts';
import { attachLink } from './link-attachment.ts';

type CgroupHook = BpfHook & { readonly type: 'cgroup' };

/** `enum bpf_attach_type`, `BPF_CGROUP_INET4_CONNECT` … */
export const cgroupAttachTypes: Readonly<Record<CgroupAttach, number>> = {
  connect4: 10,
  connect6: 11,
  sendmsg4: 14,
  sendmsg6: 15,
  recvmsg4: 19,
  recvmsg6: 20,
  getpeername4: 29,
  getpeername6: 30,
};
const BPF_LINK_TYPE_CGROUP = 3;

/** Attaches a socket-level program to a cgroup-v2 directory by a link, beside those of others. */
export function attachCgroup(hook: CgroupHook, programFd: number, name: string, pinPath?: string): BpfAttachment {
  const attachType = cgroupAttachTypes[hook.attach];
  const { directory, id } = openCgroup(hook.path, name);
  try {
    return attachLink({
      hook,
      name,
      programFd,
      create: () => libbpf.bpf_link_create(programFd, directory, attachType, null),
      // struct bpf_link_info.cgroup: id 16 (of the directory; 0 once it is removed), attach type 24.
      isSame: (info) =>
        info.readUInt32LE(0) === BPF_LINK_TYPE_CGROUP &&
        info.readBigUInt64LE(16) === id &&
        info.readUInt32LE(24) === attachType,
      ...(pinPath === undefined ? {} : { pinPath }),
    });
  } catch (error) {
    if (!(error instanceof KernelError && error.code === 'EPERM')) throw error;
    throw kernelError(
      `Cannot attach ${name} (another program is attached exclusively to this cgroup or one above it; detach it there)`,
      error.errno,
      { cause: error },
    );
  } finally {
    closeSync(directory);
  }
}

function openCgroup(path: string, name: string): { readonly directory: number; readonly id: bigint } {
  try {
    return { directory: openSync(path, 'r'), id: statSync(path, { bigint: true }).ino };
  } catch (cause) {
    throw asKernelError(`Cannot attach ${name}: cgroup ${path}`, cause);
  }
}
