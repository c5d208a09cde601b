import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { isAbsolute, join, relative } from 'node:path';
import { MissingFeatureError } from '../ports/index.ts';
import { asKernelError, systemCode } from '../abi/index.ts';

/**
 * The cgroup-v2 directory of this process: the `cgroup2` mount and the `0::` line of /proc/self/cgroup. On a hybrid
 * layout v2 is mounted beside the v1 controllers. It moves with the process: once joined elsewhere, use absolute paths. Ours are made below it and enable no controller, so a populated
 * parent is no hindrance.
 * @throws {MissingFeatureError} when cgroup v2 is not mounted.
 */
export function cgroupRoot(): string {
  const mount = cgroupMount(read('/proc/self/mountinfo'));
  if (mount === undefined)
    throw new MissingFeatureError(
      'cgroup v2',
      'pods cannot use services at socket level; mount it: mount -t cgroup2 none /sys/fs/cgroup/unified',
    );
  return ownCgroup(mount, read('/proc/self/cgroup'));
}

/** Makes a cgroup, with those above it; absolute, or below {@link cgroupRoot}. Returns its absolute path. */
export function createCgroup(path: string): string {
  const directory = absolute(path);
  mkdirSync(directory, { recursive: true });
  return directory;
}

/**
 * Moves a process, this one unless told, into a cgroup. To be done before its first socket: a socket keeps the cgroup
 * it was made in.
 */
export function joinCgroup(path: string, pid = 0): void {
  writeCgroup(path, 'cgroup.procs', String(pid));
}

/** Process ids in a cgroup, without those of cgroups below. */
export function cgroupProcesses(path: string): number[] {
  return read(join(absolute(path), 'cgroup.procs'))
    .split('\n')
    .filter((line) => line !== '')
    .map(Number);
}

/** Kills every process in a cgroup and below (`cgroup.kill`, kernel 5.14). */
export function killCgroup(path: string): void {
  writeCgroup(path, 'cgroup.kill', '1');
}

/**
 * Kills what runs in a cgroup and removes it; programs attached to it go with it. False when there is none. Cgroups
 * below it are not touched: with one there, the kernel refuses.
 */
export async function removeCgroup(path: string, options: { readonly attempts?: number } = {}): Promise<boolean> {
  const directory = absolute(path);
  const attempts = options.attempts ?? 100;
  for (let attempt = 1; ; attempt++) {
    try {
      killCgroup(directory);
      rmdirSync(directory);
      return true;
    } catch (error) {
      const code = systemCode(error);
      if (code === 'ENOENT' || code === 'ENODEV') return false;
      // Killed processes take a moment to be gone.
      if (code !== 'EBUSY' || attempt >= attempts) throw error;
      await setTimeout(10);
    }
  }
}

/** Mount point of cgroup v2 by /proc/self/mountinfo, with the root that it shows; undefined when there is none. */
export function cgroupMount(mountinfo: string): { readonly path: string; readonly root: string } | undefined {
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    if (!after.startsWith('cgroup2 ')) continue;
    const fields = before.split(' ');
    return { path: unescaped(fields[4] ?? ''), root: unescaped(fields[3] ?? '/') };
  }
  return undefined;
}

/** The directory below the mount that the `0::` line names. */
export function ownCgroup(mount: { readonly path: string; readonly root: string }, selfCgroup: string): string {
  const line = selfCgroup.split('\n').find((text) => text.startsWith('0::'));
  const own = line?.slice(3) ?? '/';
  const below = relative(mount.root, own);
  // A path outside of what the mount shows (a container with the host's cgroup namespace): the mount is all we have.
  return below.startsWith('..') ? mount.path : join(mount.path, below);
}

function absolute(path: string): string {
  return isAbsolute(path) ? path : join(cgroupRoot(), path);
}

function writeCgroup(path: string, file: string, value: string): void {
  const directory = absolute(path);
  try {
    writeFileSync(join(directory, file), value);
  } catch (cause) {
    throw asKernelError(`Cannot write ${file} of cgroup ${directory}`, cause);
  }
}

function read(path: string): string {
  return readFileSync(path, 'utf8');
}

/** Blanks and backslashes are octal in mountinfo (proc(5)). */
function unescaped(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}
