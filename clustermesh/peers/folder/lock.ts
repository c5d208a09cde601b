import { open, rm, stat } from 'node:fs/promises';
import type { Clock } from '../../../runtime/clock/index.ts';

/** Another process has been changing the folder all the while. */
export class FolderBusyError extends Error {
  override readonly name = 'FolderBusyError';
  readonly code = 'PEER_FOLDER_BUSY';

  constructor(file: string) {
    super(`Another process is changing this folder (${file})`);
  }
}

const pollMs = 20;
/** Changes are a handful of small files: a lock of this age was left behind by a process that was killed. */
const abandonedMs = 20_000;
const patienceMs = 40_000;

/** Holds a lock file while `run` runs, so that commands and the serving process do not change the same things at once. */
export async function whileLocked<T>(file: string, clock: Clock, run: () => Promise<T>): Promise<T> {
  const giveUp = clock.monotonicMs() + patienceMs;
  while (!(await taken(file))) {
    await removeAbandoned(file);
    if (clock.monotonicMs() > giveUp) throw new FolderBusyError(file);
    await clock.sleep(pollMs);
  }
  try {
    return await run();
  } finally {
    await rm(file, { force: true });
  }
}

async function taken(file: string): Promise<boolean> {
  try {
    await using _file = await open(file, 'wx', 0o600);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

async function removeAbandoned(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  // The file system's own clock on both sides: wall time, since another process has made it.
  if (found && Date.now() - found.mtimeMs > abandonedMs) await rm(file, { force: true });
}
