export { type EmbeddedEngineOptions, openEmbeddedEngine } from './embedded-engine.ts';
export { type DirectoryProblem, StoreDirectoryError } from './directory-error.ts';
