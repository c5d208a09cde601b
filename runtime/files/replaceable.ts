import { lstat, readlink, realpath, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { reasonOf } from './system-reason.ts';

/** What has the name of a file that is to be written is none: putting a file in its place would do away with it. */
export class NotReplaceableError extends Error {
  override readonly name = 'NotReplaceableError';
  readonly code = 'FILE_NOT_REPLACEABLE';
  readonly path: string;

  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(`Cannot put a file in the place of ${path}: ${problem}`, options);
    this.path = path;
  }
}

/**
 * The file that a file written beside it may take the place of by `rename`: where `path` is a link, the one it leads to. A device, a
 * pipe or a socket would be gone for everybody: `/dev/null`, for whoever may write there.
 * @throws {NotReplaceableError}
 */
export async function replaceable(path: string): Promise<string> {
  const found = await lstat(path).catch(unlessAbsent);
  if (!found) return path;
  if (found.isFile()) return path;
  if (!found.isSymbolicLink())
    throw new NotReplaceableError(path, `it is ${found.isDirectory() ? 'a directory' : 'no regular file'}`);
  // `/dev/stdout` leads to what a process has open, and that may be a file that others write to.
  if (/^\/(dev|proc)\//.test(resolve(dirname(path), await readlink(path))))
    throw new NotReplaceableError(path, 'it stands for what a process has open');
  try {
    const target = await realpath(path);
    if ((await stat(target)).isFile()) return target;
  } catch (error) {
    throw new NotReplaceableError(path, `it is a link that leads nowhere (${reasonOf(error)})`, {
      cause: error,
    });
  }
  throw new NotReplaceableError(path, 'it is a link to something that is no regular file');
}

function unlessAbsent(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
  throw error;
}
