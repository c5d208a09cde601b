import { UsageError } from '../runtime/options/index.ts';

/** What Cilium allows (kvstore-schema §0.3). Shorter ones end before another replica, or the same process, has taken their keys over. */
const leastMs = 25_000;
const mostMs = 86_400_000;

/** The time to live of leases that `--kvstore-lease-ttl` asks for, in whole seconds. @throws {UsageError} */
export function leaseTtlSeconds({ kvstoreLeaseTtlMs }: { readonly kvstoreLeaseTtlMs: number }): number {
  if (kvstoreLeaseTtlMs < leastMs || kvstoreLeaseTtlMs > mostMs)
    throw new UsageError(`--kvstore-lease-ttl is from 25s to 24h, not ${kvstoreLeaseTtlMs / 1_000}s`, {
      option: '--kvstore-lease-ttl',
    });
  return Math.ceil(kvstoreLeaseTtlMs / 1_000);
}
