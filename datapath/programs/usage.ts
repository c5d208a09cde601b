import type { BpfMap } from '../../kernel/ports/index.ts';
import { type MapName, mapNames } from './maps.ts';

/** How full a map is. */
export interface MapUsage {
  readonly map: MapName;
  /** Name in the kernel. */
  readonly name: string;
  readonly entries: number;
  readonly maxEntries: number;
}

/**
 * Counts the entries of every map that can fill up, by reading it: the kernels from 6.1 on do not tell a count. Costs about
 * half a microsecond an entry, and yields to other work. A map of the LRU kind at its limit forgets what was unused longest.
 */
export async function readUsage(map: (name: MapName) => BpfMap): Promise<readonly MapUsage[]> {
  const usage: MapUsage[] = [];
  for (const key of Object.keys(mapNames) as MapName[]) {
    const opened = map(key);
    const { spec } = opened;
    if (spec.type === 'percpu-array' || spec.type === 'array') continue;
    let entries = 0;
    await opened.dump(() => void entries++);
    usage.push({ map: key, name: spec.name, entries, maxEntries: spec.maxEntries });
  }
  return usage;
}
