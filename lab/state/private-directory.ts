import { lstat } from 'node:fs/promises';
import { makeDirectory } from '../../runtime/files/index.ts';

/** A directory that somebody else owns or may write to: what lies in it cannot be believed. */
export class ForeignDirectoryError extends Error {
  constructor(path: string) {
    super(
      `${path} belongs to somebody else or others may write to it; remove it, or set XDG_RUNTIME_DIR to a directory of your own`,
    );
    this.name = 'ForeignDirectoryError';
  }
}

/** Makes a directory of mode 0700, or makes sure that the one there is ours alone. @throws {ForeignDirectoryError} */
export async function makePrivateDirectory(path: string): Promise<void> {
  makeDirectory(path, 0o700);
  const found = await lstat(path);
  const ours = found.isDirectory() && found.uid === (process.getuid?.() ?? found.uid);
  if (!ours || (found.mode & 0o022) !== 0) throw new ForeignDirectoryError(path);
}
