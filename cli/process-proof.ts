import { readFile, readlink } from 'node:fs/promises';

/**
 * By what another process of this machine can tell that this one (or another) has ended: boot, PID namespace, process id and the tick at
 * which it was started (proc(5)). Nothing where /proc does not say.
 */
export async function processProof(pid = process.pid): Promise<string | undefined> {
  try {
    return `${await surroundings()}/${pid}/${await startedAt(pid)}`;
  } catch {
    return undefined;
  }
}

/** True when the process that gave this proof has certainly ended; of other machines and containers nothing is known. */
export async function isProcessGone(proof: string): Promise<boolean> {
  const [, where, pid, started] = /^(.+)\/(\d+)\/(\d+)$/.exec(proof) ?? [];
  try {
    if (where === undefined || where !== (await surroundings())) return false;
    return (await startedAt(Number(pid)).catch(absent)) !== started;
  } catch {
    return false;
  }
}

async function surroundings(): Promise<string> {
  const boot = await readFile('/proc/sys/kernel/random/boot_id', 'utf8');
  return `${boot.trim()}/${await readlink('/proc/self/ns/pid')}`;
}

/** Field 22 of `/proc/<pid>/stat`. The second one, the command's name, may contain anything but a closing bracket at its end. */
async function startedAt(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  const state = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie has ended: only its parent has not looked yet.
  return state[0] === 'Z' ? undefined : state[19];
}

function absent(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ESRCH') throw error;
}
