import type { EngineProblem } from '../../contract/index.ts';

/** The alarm of etcd's that says it; for a store that is damaged or cannot be written to any more, the only other one there is. */
export function alarmOf({ type }: EngineProblem): 'no-space' | 'corrupt' {
  return type === 'no-space' ? 'no-space' : 'corrupt';
}

/** As etcd writes it in words. */
export function alarmText(problem: EngineProblem): 'NOSPACE' | 'CORRUPT' {
  return alarmOf(problem) === 'no-space' ? 'NOSPACE' : 'CORRUPT';
}
