import { readFileSync } from 'node:fs';

/** A process, told from a later one with the same number by its start time (clock ticks since boot; 0 where unknown). */
export interface ProcessId {
  readonly pid: number;
  readonly startTime: number;
}

export function processId(pid: number): ProcessId {
  return { pid, startTime: startTimeOf(pid) ?? 0 };
}

export function isAlive({ pid, startTime }: ProcessId): boolean {
  if (startTime === 0) {
    try {
      process.kill(pid, 0);
      return true;
    } catch {
      return false;
    }
  }
  return startTimeOf(pid) === startTime;
}

/** Sends a signal only to that very process. */
export function signalProcess(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    return process.kill(id.pid, signal);
  } catch {
    return false;
  }
}

/** Field 22 of /proc/<pid>/stat; a zombie counts as gone. */
function startTimeOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : Number(fields[19]);
  } catch {
    return undefined;
  }
}
