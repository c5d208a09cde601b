import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { leaderKey } from '../clustermesh/index.ts';
import { type ApiServer, LeaseElection } from '../kubernetes/index.ts';
import { type Store, StoreElection, urgentStore } from '../kvstore/index.ts';
import type { Clock } from '../runtime/clock/index.ts';
import type { Election } from '../runtime/election/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import { UsageError, defineOptions } from '../runtime/options/index.ts';
import { isProcessGone, processProof } from './process-proof.ts';

/** How replicas of an apiserver choose the one that publishes. */
export const electionOptions = defineOptions({
  'leader-elect-by': {
    type: 'choice',
    choices: ['lease', 'store'],
    help: 'With --store etcd or consul: who publishes says a Lease of Kubernetes (with --source kubernetes, unless told) or a key of the store (otherwise); the same in all replicas',
  },
  'leader-elect-lease-duration': {
    type: 'duration',
    default: '10s',
    help: 'With --store etcd or consul one replica publishes; one that is silent this long is followed by another',
  },
});

export interface ElectionChoice {
  /** Absent: as the source has it. */
  readonly leaderElectBy: 'lease' | 'store' | undefined;
  readonly leaderElectLeaseDurationMs: number;
}

/** @throws {UsageError} for a Lease without an API server, a time below a second, or a Lease of no whole number of seconds. */
export async function replicaElection(
  choice: ElectionChoice,
  store: Store,
  api: ApiServer | undefined,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<Election> {
  const { leaderElectBy: by = api ? 'lease' : 'store', leaderElectLeaseDurationMs: termMs } = choice;
  if (termMs < 1_000)
    throw new UsageError(`--leader-elect-lease-duration is at least 1s, not ${termMs}ms`, {
      option: '--leader-elect-lease-duration',
    });
  if (by === 'store')
    return new StoreElection({
      // A leader that cannot say so in time, for all that it writes, is none.
      store: urgentStore(store),
      key: leaderKey('apiserver'),
      identity: `${hostname()}:${process.pid}`,
      termMs,
      proof: await processProof(),
      isGone: isProcessGone,
      clock,
      log,
    });
  if (!api) throw new UsageError('--leader-elect-by lease needs --source kubernetes', { option: '--leader-elect-by' });
  if (termMs % 1_000 !== 0)
    throw new UsageError(`--leader-elect-lease-duration of a Lease is in whole seconds, not ${termMs} ms`, {
      option: '--leader-elect-lease-duration',
    });
  return new LeaseElection({
    api,
    namespace: api.namespace ?? 'isthmus-system',
    name: 'isthmus-apiserver',
    identity: `${hostname()}_${randomUUID()}`,
    leaseSeconds: termMs / 1_000,
    // Each term of an apiserver begins with a fence in the store.
    fenced: true,
    renewDeadlineMs: termMs * 0.7,
    retryMs: termMs / 5,
    clock,
    log,
  });
}
