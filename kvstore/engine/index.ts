export type { Backend, BackendSizes, CommitListener, StoredLease } from './backend.ts';
export { type AutoCompaction, compactAutomatically } from './auto-compaction.ts';
export { engineErrors } from './engine-errors.ts';
export { EngineStore, type EngineStoreDependencies } from './engine-store.ts';
export { MvccEngine, type MvccEngineDependencies, type MvccEngineOptions } from './mvcc-engine.ts';
export { type Change, type Row, type Snapshot, type View, plainKeyValue } from './row.ts';
export { Span, keyText, successor } from './span.ts';
export { toStoreError } from './translate.ts';
