import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { replaceable } from './replaceable.ts';

/**
 * Puts a file in place whole or not at all: written beside it, flushed, renamed. Readers see the old or the new one. The
 * name while it is written begins with two dots, which those who look through folders of configuration pass over.
 * @throws {NotReplaceableError} where something else than a file has this name
 */
export async function replaceFile(name: string, content: string | Uint8Array, mode = 0o600): Promise<void> {
  const path = await replaceable(name);
  const beside = join(dirname(path), `..${basename(path)}.${randomBytes(6).toString('hex')}`);
  try {
    await using file = await open(beside, 'wx', mode);
    // What the process's umask has taken away is asked for.
    await file.chmod(mode);
    await file.writeFile(content);
    await file.sync();
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  await rename(beside, path).catch(async (error: unknown) => {
    await rm(beside, { force: true });
    throw error;
  });
}
