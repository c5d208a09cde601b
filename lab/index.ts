export { asTyped } from './as-typed.ts';
export { type LabStatus } from './control/index.ts';
export { Lab } from './lab.ts';
export { ForeignNamespaceError, isLabName } from './network/index.ts';
export { ManifestsError } from './plan/index.ts';
export { type LabReport, isHealthy, reportText, textTable } from './report/index.ts';
export { LabIsLiveError, LabNameError, type RunLabOptions, checkLab, cleanDead, withLab } from './run-lab.ts';
export { commandsToTry, kernelLinesOf, runLiveScreen } from './screen/index.ts';
export { PlacementError } from './scheduler/index.ts';
export {
  ForeignDirectoryError,
  type LabState,
  apiserverPaths,
  isLive,
  labNames,
  labPaths,
  nodePaths,
  SocketPathError,
  readLabState,
} from './state/index.ts';
export { type LabStoreKind, StoreBinaryError, type StoreSwitch, labStoreKinds } from './stores/index.ts';
export { TopologyError } from './topology/index.ts';
