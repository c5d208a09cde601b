export { SnapshotFileError, type SnapshotHeader } from './snapshot-format.ts';
export { type WriteSnapshotOptions, type WrittenSnapshot, writeSnapshot } from './write-snapshot.ts';
export { type RestoreOptions, type RestoredStore, RestoreDirectoryError, restoreSnapshot } from './restore-snapshot.ts';
