import { KvStoreError } from '../contract/index.ts';

/** Why a data directory cannot be used: another process has it, it is not ours, a newer version wrote it, it is damaged. */
export type DirectoryProblem = 'in-use' | 'foreign' | 'newer' | 'damaged';

/** The data directory of an embedded store cannot be opened; nothing in it was changed. */
export class StoreDirectoryError extends KvStoreError {
  readonly code = 'KVSTORE_DIRECTORY';
  readonly retry = 'never';
  readonly problem: DirectoryProblem;
  readonly directory: string;
  /** Process that has the directory, for `in-use`. */
  readonly pid: number | undefined;

  constructor(problem: DirectoryProblem, directory: string, message: string, pid?: number) {
    super(message);
    this.problem = problem;
    this.directory = directory;
    this.pid = pid;
  }
}
