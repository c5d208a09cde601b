export type * from './ports/index.ts';
export { KernelError, MissingFeatureError, PinnedMapError } from './ports/index.ts';
export { type LinuxKernelOptions, LinuxKernel, openLinuxKernel } from './linux-kernel.ts';
export {
  type Endpoint,
  type NamespaceHandle,
  createNamespace,
  deleteNamespace,
  openNamespace,
  runInNamespace,
  tcpConnectFd,
  tcpListenFd,
  udpBindFd,
} from './netns/index.ts';
export type { LinuxBpfObject, TestRunInput, TestRunResult } from './bpf/index.ts';
export { isBpffs, mountBpffs, unmountBpffs } from './bpf/index.ts';
export { type ObjectLayout, type ObjectProgram, type StructLayout, type StructMember, readBtf } from './bpf/index.ts';
export { cgroupProcesses, cgroupRoot, createCgroup, joinCgroup, killCgroup, removeCgroup } from './cgroup/index.ts';
export {
  type KernelFeature,
  type KernelFeatureName,
  type KernelReport,
  probeKernel,
  requireFeatures,
} from './probe/index.ts';
export { type MemoryKernelOptions, MemoryKernel } from './memory/index.ts';
export { checkPeerUid, peerUid, processStartTime } from './abi/index.ts';
