import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const reasons: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'something that is no directory has this name',
  ENOENT: 'its file system takes no new directory there',
  ENOSPC: 'no space is left on the device',
  ENOTDIR: 'a part of the path is no directory',
  EPERM: 'not permitted',
  EROFS: 'the file system is read-only',
};

/** A directory that is needed cannot be made. */
export class MakeDirectoryError extends Error {
  readonly directory: string;
  /** As the system said it: `EACCES`. */
  readonly code: string;

  constructor(directory: string, code: string, options?: ErrorOptions) {
    super(`Cannot make the directory ${directory}: ${reasons[code] ?? code}`, options);
    this.name = 'MakeDirectoryError';
    this.directory = directory;
    this.code = code;
  }
}

/**
 * Makes a directory and those above it, each with `mode`, unless they are there.
 *
 * `recursive: true` of Node's own `mkdir` is no help: below a directory that exists and answers ENOENT all the same, as
 * /proc does, it tries for ever, in native code that no signal ends.
 * @throws {MakeDirectoryError}
 */
export function makeDirectory(path: string, mode = 0o777): void {
  if (made(path, mode)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectory(parent, mode);
  if (!made(path, mode)) throw new MakeDirectoryError(path, 'ENOENT');
}

/** False when a directory above it is missing. */
function made(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (cause) {
    const code = codeOf(cause);
    if (code === 'ENOENT') return false;
    // A read-only file system says so even of what is there.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return true;
    throw new MakeDirectoryError(path, code, { cause });
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error';
}
