import { UsageError } from '../../runtime/options/index.ts';

/** `--lease-ttl` in whole seconds. @throws {UsageError} for none: no store grants such a lease */
export function leaseSeconds(milliseconds: number): number {
  if (milliseconds > 0) return Math.ceil(milliseconds / 1000);
  throw new UsageError('--lease-ttl expects more than no time at all', { option: '--lease-ttl', hint: 'such as 15m' });
}
