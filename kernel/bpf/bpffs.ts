import { rmdirSync, statfsSync } from 'node:fs';
import { makeDirectory } from '../../runtime/files/index.ts';
import { checked, errnoName, kernelError, lastErrno, libc } from '../abi/index.ts';

const BPF_FS_MAGIC = 0xcafe4a11;
/** MS_NOSUID | MS_NODEV | MS_NOEXEC, and MS_PRIVATE | MS_REC for the second call. */
const mountFlags = 0xe;
const privateFlags = 0x40000 | 0x4000;
const MNT_DETACH = 2;

/**
 * Mounts a bpffs of our own at `directory`, made when it is missing; one that is mounted there already is kept with its
 * pins. The mount is private, so that no other mount namespace gets a copy that would keep the pins alive.
 */
export function mountBpffs(directory: string): void {
  makeDirectory(directory, 0o700);
  if (isBpffs(directory)) return;
  checked(`Cannot mount a bpffs at ${directory}`, libc.mount('bpf', directory, 'bpf', mountFlags, 'mode=0700'));
  checked(`Cannot make the mount ${directory} private`, libc.mount(null, directory, null, privateFlags, null));
}

/**
 * Unmounts the bpffs and removes its directory when that is empty then. All pins go with it, and what was held by them
 * alone. False when none was mounted there.
 */
export function unmountBpffs(directory: string): boolean {
  if (!isBpffs(directory)) return false;
  if (libc.umount2(directory, MNT_DETACH) < 0) {
    const errno = lastErrno();
    // A directory inside somebody else's bpffs is no mount of ours.
    if (errnoName(errno) === 'EINVAL') return false;
    throw kernelError(`Cannot unmount the bpffs at ${directory}`, errno);
  }
  try {
    rmdirSync(directory);
  } catch {
    // Not empty, or busy: the directory is the caller's.
  }
  return true;
}

/** Whether pins can be made below `directory`. */
export function isBpffs(directory: string): boolean {
  try {
    return statfsSync(directory).type === BPF_FS_MAGIC;
  } catch {
    return false;
  }
}
