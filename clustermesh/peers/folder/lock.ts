import { randomUUID } from 'node:crypto';
import { link, rename, stat, writeFile } from 'node:fs/promises';
import type { Clock } from '../../../runtime/clock/index.ts';
import { readText, remove } from './files.ts';

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
  const holder = randomUUID();
  while (!(await taken(file, holder))) {
    await removeAbandoned(file);
    if (clock.monotonicMs() > giveUp) throw new FolderBusyError(file);
    await clock.sleep(pollMs);
  }
  try {
    return await run();
  } finally {
    // Whoever stood still for too long has lost it to another.
    if ((await readText(file)) === holder) await remove(file);
  }
}

async function taken(file: string, holder: string): Promise<boolean> {
  try {
    await writeFile(file, holder, { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Several may see it abandoned at once, and one of them may hold it anew before another acts: what is moved is looked at. */
async function removeAbandoned(file: string): Promise<void> {
  const found = await stat(file).catch(() => undefined);
  // The file system's own clock on both sides: wall time, since another process has made it.
  if (!found || Date.now() - found.mtimeMs <= abandonedMs) return;
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
    const moved = await stat(aside);
    if (moved.ino !== found.ino || moved.mtimeMs !== found.mtimeMs) await link(aside, file);
  } catch {
    // Another one was quicker.
  } finally {
    await remove(aside);
  }
}
