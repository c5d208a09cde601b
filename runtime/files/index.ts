export { MakeDirectoryError, makeDirectory } from './make-directory.ts';
export { replaceFile } from './replace-file.ts';
export { reasonOf, systemReason } from './system-reason.ts';
