import { type Compare, ordered, toBytes } from '../../contract/index.ts';
import { type ConsulEntry, bytesOf, versionOf } from '../entry.ts';
import { leaseOfSession } from '../keys.ts';

/** Whether a condition holds for a key as it was read; absent keys count as 0 everywhere and have no value. */
export function holds(compare: Compare, entry: ConsulEntry | undefined): boolean {
  switch (compare.target) {
    case 'create':
      return ordered(compare.result, (entry?.CreateIndex ?? 0) - compare.value);
    case 'mod':
      return ordered(compare.result, (entry?.ModifyIndex ?? 0) - compare.value);
    case 'version':
      return ordered(compare.result, (entry ? versionOf(entry.CreateIndex, entry.ModifyIndex) : 0) - compare.value);
    case 'lease': {
      const lease = leaseOfSession(entry?.Session);
      return ordered(compare.result, lease < compare.value ? -1 : lease > compare.value ? 1 : 0);
    }
    case 'value':
      return (
        entry !== undefined && ordered(compare.result, Buffer.compare(bytesOf(entry.Value), toBytes(compare.value)))
      );
  }
}
