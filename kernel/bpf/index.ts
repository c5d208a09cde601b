export { type ObjectLayout, type ObjectProgram, type StructLayout, type StructMember, readBtf } from './btf.ts';
export { isBpffs, mountBpffs, unmountBpffs } from './bpffs.ts';
export { type AttachedProgram, LinuxBpf, type LinuxBpfObject } from './linux-bpf.ts';
export { checkSpec, hookName, pinPathOf } from './linux-object.ts';
export { checkPacked } from './packed.ts';
export { cgroupAttachTypes } from './cgroup-link.ts';
export { tcxAttachTypes } from './tcx.ts';
export { type Handle, failedWith, libbpf } from './libbpf.ts';
export type { TestRunInput, TestRunResult } from './test-run.ts';
