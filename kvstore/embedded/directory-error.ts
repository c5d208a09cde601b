import { KvStoreError } from '../contract/index.ts';

/**
 * Why a data directory cannot be used: another process has it, it cannot be locked, it is not ours, another version wrote
 * it, it is damaged.
 */
export type DirectoryProblem = 'in-use' | 'unlockable' | 'foreign' | 'newer' | 'older' | 'damaged';

/** The data directory of an embedded store cannot be opened; nothing in it was changed. */
export class StoreDirectoryError extends KvStoreError {
  readonly code = 'KVSTORE_DIRECTORY';
  readonly retry = 'never';
  readonly problem: DirectoryProblem;
  readonly directory: string;
  /** Process that has the directory, for `in-use`; as its own container counts. */
  readonly pid: number | undefined;

  constructor(
    problem: DirectoryProblem,
    directory: string,
    message: string,
    options: ErrorOptions & { readonly pid?: number } = {},
  ) {
    super(message, options);
    this.problem = problem;
    this.directory = directory;
    this.pid = options.pid;
  }
}
