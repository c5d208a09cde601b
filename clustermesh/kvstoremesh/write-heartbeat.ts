import { LeaseNotFoundError, type Lease, type Store, toBytes } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { encodeTime, heartbeatKey } from '../wire/index.ts';
import type { CacheWriter } from './cache-writer.ts';

const heartbeatMs = 60_000;

/** Writes the own cluster's heartbeat every minute, under a lease (kvstore-schema §9), where no apiserver does. */
export async function writeHeartbeat(
  writer: CacheWriter,
  deps: {
    readonly store: Pick<Store, 'grantLease'>;
    readonly clock: Clock;
    readonly log: Logger;
    readonly leaseTtlSeconds: number;
  },
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, log, leaseTtlSeconds: ttlSeconds } = deps;
  let lease: Lease | undefined;
  try {
    for (;;) {
      try {
        if (!lease || lease.lost.aborted) lease = await store.grantLease({ ttlSeconds, signal });
        const put = {
          type: 'put',
          key: toBytes(heartbeatKey),
          value: encodeTime(clock.now()),
          lease: lease.id,
        } as const;
        await writer.apply([put], signal);
        await clock.sleep(heartbeatMs, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        if (error instanceof LeaseNotFoundError) lease = undefined;
        else if (!isPassing(error)) throw error;
        log.debug('The heartbeat could not be written and is tried again', { [fields.error]: error });
        await clock.sleep(1000, signal);
      }
    }
  } finally {
    await lease?.[Symbol.asyncDispose]();
  }
}

function isPassing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'retry' in error && error.retry === 'again';
}
