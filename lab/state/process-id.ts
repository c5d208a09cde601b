import { processStartTime } from '../../kernel/index.ts';

/** A process, told from a later one with the same number by its start time (clock ticks since boot; 0 where unknown). */
export interface ProcessId {
  readonly pid: number;
  readonly startTime: number;
}

export function processId(pid: number): ProcessId {
  return { pid, startTime: processStartTime(pid) ?? 0 };
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
  return processStartTime(pid) === startTime;
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
