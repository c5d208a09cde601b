import { StoreDirectoryError } from './directory-error.ts';
import { damaged } from './table-file.ts';

/** `lmdb.h`: pages or heads that are not what they must be. */
const damage = new Set([-30_797, -30_796, -30_795, -30_793, -30_779]);
/** Of a file system that cannot map or lock files: ENODEV, EINVAL, ENOLCK, ENOSYS, EOPNOTSUPP. */
const unable = new Set([19, 22, 37, 38, 95]);

/** Whether LMDB met pages that it cannot have written. */
export function isDamage(error: unknown): boolean {
  return (
    damage.has(codeOf(error)) ||
    (error instanceof Error && /^MDB_(CORRUPTED|PAGE_NOTFOUND|INVALID|PANIC|PROBLEM)/.test(error.message))
  );
}

/** The damage that an error tells of, with what to do about it. */
export function damageOf(error: unknown, directory: string): StoreDirectoryError {
  if (error instanceof StoreDirectoryError) return error;
  return damaged(directory, error instanceof Error ? error.message : String(error), { cause: error });
}

/** An error of opening a store, with what to do about it. */
export function explained(error: unknown, directory: string): unknown {
  if (error instanceof StoreDirectoryError || !(error instanceof Error)) return error;
  if (isDamage(error)) return damaged(directory, error.message, { cause: error });
  const code = codeOf(error);
  if (!unable.has(code)) return error;
  return new StoreDirectoryError(
    'unlockable',
    directory,
    `Directory ${directory} is on a file system that cannot map and lock files as a store needs it (${error.message}); choose one on a local file system`,
    { cause: error },
  );
}

/** LMDB-js gives LMDB's own codes as they are and those of the system as positive numbers; Node gives negative ones. */
function codeOf(error: unknown): number {
  if (!(error instanceof Error)) return 0;
  if ('code' in error && typeof error.code === 'number') return error.code;
  if ('errno' in error && typeof error.errno === 'number') return Math.abs(error.errno);
  return 0;
}
