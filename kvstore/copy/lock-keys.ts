import type { KeyValue } from '../contract/index.ts';
import { isCopyRecord } from './copier-leases.ts';
import { keyTextOf } from './wish.ts';

/**
 * Whether an entry stands for a lock, or for who waits for it: a key `<name>/<lease>` held by that very lease (promise X1, as etcd's own
 * recipes for mutexes and elections have it). It says something of its own store only: under a copier's lease it would be
 * held by nobody, and keep others waiting until that lease ends. Records of copiers are named in the same way, and no locks.
 */
export function isLock({ key, lease }: Pick<KeyValue, 'key' | 'lease'>): boolean {
  return lease !== 0n && !isCopyRecord(key) && keyTextOf(key).endsWith(`/${lease.toString(16)}`);
}
