export { SnapshotFileError, type SnapshotHeader } from './snapshot-format.ts';
export { sealed } from './seal.ts';
export {
  type SnapshotSource,
  type WriteSnapshotOptions,
  type WrittenSnapshot,
  streamSnapshot,
  writeSnapshot,
} from './write-snapshot.ts';
export { type RestoreOptions, type RestoredStore, RestoreDirectoryError, restoreSnapshot } from './restore-snapshot.ts';
