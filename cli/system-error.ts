import { existsSync, statSync } from 'node:fs';
import { systemReason } from '../runtime/files/index.ts';
import { UsageError } from '../runtime/options/index.ts';

/** What Node says of a system call, in words: `Cannot open /nope: there is no such file or directory`. */
export function systemErrorText(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined;
  const reason = systemReason(error);
  // Messages of our own begin otherwise and say more already.
  if (reason === undefined || !error.message.startsWith(`${String(error.code)}: `)) return undefined;
  const object = 'path' in error && typeof error.path === 'string' ? ` ${error.path}` : '';
  return `Cannot ${String(error.syscall)}${object}: ${reason}`;
}

/** A directory that will be made when it is missing. @throws {UsageError} naming the option when something else is there. */
export function requireDirectoryOrNothing(option: string, path: string | undefined): void {
  if (path !== undefined && existsSync(path) && !statSync(path).isDirectory())
    throw new UsageError(`${option} ${path} is not a directory`, {
      option,
      hint: 'name a directory; it is made when it is missing',
    });
}

/** A file or directory that must be there. @throws {UsageError} naming the option. */
export function requireThere(option: string, path: string): void {
  if (!existsSync(path)) throw new UsageError(`${option}: there is no file or directory ${path}`, { option });
}
