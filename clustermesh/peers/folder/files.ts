import { readFile, readdir, rm } from 'node:fs/promises';
import { makeDirectory, replaceFile } from '../../../runtime/files/index.ts';

/** Undefined where there is no such file. */
export async function readText(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Names in a folder, in order; none where there is no such folder. What is being written is passed over. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  try {
    return (await readdir(folder)).filter((name) => !name.startsWith('..')).toSorted();
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** Writes a file of ours, readable by its owner alone, unless it says just that already: whoever follows it sees no change. */
export async function putText(path: string, text: string): Promise<void> {
  if ((await readText(path)) !== text) await replaceFile(path, text, 0o600);
}

export async function remove(path: string): Promise<void> {
  await rm(path, { force: true });
}

export async function removeFolder(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true });
}

/** A folder of ours: nobody else looks into it. */
export function makeFolder(path: string): void {
  makeDirectory(path, 0o700);
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR');
}
