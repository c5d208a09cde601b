import type { Change } from '../engine/index.ts';
import { StoreDirectoryError } from './directory-error.ts';
import type { TableWrite, Tables } from './table-types.ts';
import { makeRoom } from './tables.ts';

/** Writes that reach the disk together, or not at all. */
export interface Group {
  readonly writes: TableWrite[];
  readonly changes: Change[];
  /** Revision that the group compacts to, when it does. */
  compacted: number | undefined;
  readonly done: PromiseWithResolvers<void>;
}

/** Puts writes on disk as one; the promise settles when they are there. */
export type Writer = (writes: readonly TableWrite[]) => Promise<void>;

export interface GroupCommitOptions {
  readonly write: (group: Group) => Promise<void>;
  /** Adds what has to go with every group, right before it is written. */
  readonly seal: (group: Group) => void;
  readonly committed: (group: Group) => void;
  /** The error to reject with, for a group that could not be written; everything behind it is dropped too. */
  readonly failed: (error: unknown) => Error;
}

/**
 * One commit in flight, the next group gathers behind it: the more writers, the larger the groups, and a single writer
 * never waits for others.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #gathering: Group | undefined;
  #inFlight: Group | undefined;
  #running: Promise<void> | undefined;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  /** The group that takes writes now. It closes with the current turn at the earliest, so a transaction stays whole. */
  get group(): Group {
    if (!this.#gathering) {
      this.#gathering = {
        writes: [],
        changes: [],
        compacted: undefined,
        done: Promise.withResolvers<void>(),
      };
      this.#gathering.done.promise.catch(() => undefined);
      this.#running ??= this.#run();
    }
    return this.#gathering;
  }

  /** Settles with everything that was written so far. */
  async flush(): Promise<void> {
    await (this.#gathering ?? this.#inFlight)?.done.promise;
  }

  /** Settles when nothing is under way any more. */
  async idle(): Promise<void> {
    while (this.#running) await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    for (let group = this.#gathering; group; group = this.#gathering) {
      this.#gathering = undefined;
      this.#inFlight = group;
      this.#options.seal(group);
      try {
        await this.#options.write(group);
      } catch (error) {
        this.#drop(group, this.#options.failed(error));
        continue;
      }
      this.#inFlight = undefined;
      this.#options.committed(group);
      group.done.resolve();
    }
    this.#running = undefined;
  }

  /** What gathered behind a lost group was built on it. */
  #drop(group: Group, error: Error): void {
    const behind = this.#gathering;
    this.#gathering = undefined;
    this.#inFlight = undefined;
    group.done.reject(error);
    behind?.done.reject(error);
  }
}

/**
 * One transaction of LMDB; its promise means on disk (see `openTables`). It writes nothing once another process has entered
 * itself as the owner.
 */
export function lmdbWriter(tables: Tables): Writer {
  const { ownership, directory } = tables;
  return async (writes) => {
    makeRoom(tables, writes.length, sizeOf(writes));
    let owned: boolean;
    try {
      owned = await ownership.table.ifVersion(ownership.key, ownership.version, () => {
        for (const { table, key, value } of writes) {
          // Inside a batch these promises say nothing; the batch's own does.
          if (value) void table.put(key, value);
          else void table.remove(key);
        }
      });
    } catch (error) {
      throw await causeOf(error);
    }
    if (!owned)
      throw new StoreDirectoryError('in-use', directory, `Store in ${directory} was taken over by another process`);
  };
}

function sizeOf(writes: readonly TableWrite[]): number {
  return writes.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0);
}

/** lmdb-js rejects with a general error whose `commitError` is a promise that rejects with the real one. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && 'commitError' in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}
