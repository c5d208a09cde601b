export { MakeDirectoryError, makeDirectory } from './make-directory.ts';
