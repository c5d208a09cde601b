import { readFileSync } from 'node:fs';

/** What a process has used so far. */
export interface ProcessUsage {
  /** Resident memory, and the part that is its own share of it (PSS), in bytes. */
  readonly rssBytes: number;
  readonly pssBytes: number;
  /** User and system time since its start, milliseconds. */
  readonly cpuMs: number;
}

/** Clock ticks a second in /proc (USER_HZ, 100 on every architecture that isthmus runs on). */
const ticksPerSecond = 100;

/** Read from /proc; undefined when the process is gone or the system has no /proc. */
export function processUsage(pid: number): ProcessUsage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(rollup)?.[1] ?? 0);
    return {
      rssBytes: kib('Rss') * 1024,
      pssBytes: kib('Pss') * 1024,
      cpuMs: ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond,
    };
  } catch {
    return undefined;
  }
}
