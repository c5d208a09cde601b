export { ReadMirror, type ReadMirrorOptions, type ReadMirrorStatus } from './read-mirror.ts';
export { ReadOnlyEngine } from './read-only-engine.ts';
