import { readFileSync } from 'node:fs';

/**
 * When a process began, in clock ticks after boot (field 22 of /proc/PID/stat, proc(5)): with the id it names one
 * process for ever, since ids are used again and start times are not. Undefined when there is no such process, or when it
 * has ended and only waits to be noticed by its parent (a zombie).
 */
export function processStartTime(pid: number): number | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the program's name in parentheses and may itself hold blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  const start = Number(fields[19]);
  return Number.isSafeInteger(start) ? start : undefined;
}
