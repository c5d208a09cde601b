export { type EmbeddedEngineOptions, openEmbeddedEngine } from './embedded-engine.ts';
export { type DirectoryProblem, StoreDirectoryError } from './directory-error.ts';
export { raiseRevision } from './raise-revision.ts';
