export { MakeDirectoryError, makeDirectory } from './make-directory.ts';
export { parseQuietYaml } from './parse-quiet-yaml.ts';
export { replaceFile } from './replace-file.ts';
export { NotReplaceableError, replaceable } from './replaceable.ts';
export { reasonOf, systemReason } from './system-reason.ts';
