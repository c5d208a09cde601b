import { type EtcdTuning, EtcdTuningError, parseEtcdTuning } from '../kvstore/index.ts';
import type { Clock } from '../runtime/clock/index.ts';
import { UsageError, defineOptions } from '../runtime/options/index.ts';

/** How much a process asks of an etcd; names and defaults as Cilium's. */
export const etcdTuningOptions = defineOptions({
  'kvstore-opt': {
    type: 'list',
    placeholder: 'NAME=VALUE',
    help: 'How an etcd is used: etcd.qps, etcd.bootstrapQps, etcd.maxInflight, etcd.limit, etcd.keepaliveHeartbeat, etcd.keepaliveTimeout, etcd.operationTimeout',
  },
});

/** @param defaults of this process; what the user says comes later. @throws {UsageError} */
export function etcdTuning(said: readonly string[], defaults: readonly string[] = []): EtcdTuning {
  try {
    return parseEtcdTuning([...defaults, ...said]);
  } catch (error) {
    if (!(error instanceof EtcdTuningError)) throw error;
    throw new UsageError(`--kvstore-opt ${error.message}`, { option: '--kvstore-opt' });
  }
}

/** Who publishes a whole cluster, or many, does so at once when it starts; afterwards the limit for steady times holds. */
export const publisherDefaults: readonly string[] = ['etcd.bootstrapQps=10000'];

/**
 * As Cilium's kvstoremesh is deployed (clustermesh-behaviour §5): it writes the changes of all remote clusters, which is far more than
 * the 20 requests a second of a process that writes its own.
 */
export const copierDefaults: readonly string[] = [...publisherDefaults, 'etcd.qps=100', 'etcd.maxInflight=10'];

/** The same without the limit for starting up: for stores that are only read. */
export function steady({ limits, ...rest }: EtcdTuning): EtcdTuning {
  const { qps, maxInflight } = limits;
  return { ...rest, limits: { qps, ...(maxInflight === undefined ? {} : { maxInflight }) } };
}

const lookMs = 1000;

/** Calls `then` once `ready` holds; nothing when the signal aborts before. */
export async function onceReady(
  ready: () => boolean,
  then: () => void,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<void> {
  try {
    while (!ready()) await clock.sleep(lookMs, signal);
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  then();
}
