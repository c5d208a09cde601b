export { type Cleaner, cleanLab } from './clean-lab.ts';
export {
  type ApiserverPaths,
  type LabPaths,
  type NodePaths,
  apiserverPaths,
  labPaths,
  labsRoot,
  nodePaths,
} from './lab-directory.ts';
export {
  type ChildRecord,
  type LabState,
  type PodRecord,
  isLive,
  labNames,
  readLabState,
  writeLabState,
  writeLabStateSync,
} from './lab-state.ts';
export { ForeignDirectoryError, makePrivateDirectory } from './private-directory.ts';
export { type ProcessId, isAlive, processId, signalProcess } from './process-id.ts';
export { takeOver } from './take-over.ts';
export { SocketPathError, requireSocketPaths } from './socket-paths.ts';
