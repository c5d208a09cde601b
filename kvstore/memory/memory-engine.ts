import { MvccEngine, type MvccEngineDependencies, type MvccEngineOptions } from '../engine/index.ts';
import { MemoryBackend } from './memory-backend.ts';

export interface MemoryEngineOptions extends MvccEngineOptions, MvccEngineDependencies {
  /** Where revisions begin; whoever asks for an older one is told that it is compacted. 1 unless told. */
  readonly firstRevision?: number;
}

/** An engine whose content ends with the process: for tests, simulation and `--kernel memory`. */
export class MemoryEngine extends MvccEngine {
  constructor(options: MemoryEngineOptions) {
    super(new MemoryBackend(options.firstRevision), options, options);
  }
}
