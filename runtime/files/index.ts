export { MakeDirectoryError, makeDirectory } from './make-directory.ts';
export { reasonOf, systemReason } from './system-reason.ts';
