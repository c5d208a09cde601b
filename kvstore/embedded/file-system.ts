import { statfsSync } from 'node:fs';
import { StoreDirectoryError } from './directory-error.ts';

/**
 * File systems that other machines can write to at the same time (`statfs(2)`, `linux/magic.h`): what LMDB maps there is not
 * kept in step between machines, and neither is the socket by which a directory is locked.
 */
const shared: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff53_4d42, 'CIFS'],
  [0xfe53_4d42, 'SMB'],
  [0x0102_1997, '9P'],
  [0x5346_414f, 'AFS'],
  [0x6b41_4653, 'AFS'],
  [0x7375_7245, 'Coda'],
  [0x00c3_6400, 'Ceph'],
  [0x0bd0_0bd0, 'Lustre'],
  [0x4750_4653, 'GPFS'],
]);

/** The name of a shared file system of that type; `undefined` for any other one. */
export function sharedFileSystem(type: number): string | undefined {
  // Some systems give the 32 bits as a negative number.
  return shared.get(type >>> 0);
}

/** @throws {StoreDirectoryError} for a directory whose maps and locks hold on one machine only while others can write to it. */
export function checkFileSystem(directory: string, typeOf = (path: string): number => statfsSync(path).type): void {
  const name = sharedFileSystem(typeOf(directory));
  if (name === undefined) return;
  throw new StoreDirectoryError(
    'unlockable',
    directory,
    `Directory ${directory} is on ${name}, where neither locks nor mapped files hold between machines; choose one on a local file system`,
  );
}
