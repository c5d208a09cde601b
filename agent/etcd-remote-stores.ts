import type { Clock } from '../runtime/clock/index.ts';
import { type Logger, fields } from '../runtime/log/index.ts';
import type { PeerConfig } from '../clustermesh/index.ts';
import { type Store, type StoreMetrics, measureStore, openEtcdStore, parseEtcdConfig } from '../kvstore/index.ts';

/** Opens remote stores as their configurations say: remote clusters are always read over the etcd API. */
export function etcdRemoteStores(deps: {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics?: StoreMetrics;
}): (config: PeerConfig) => Store {
  return (config) => {
    const store = openEtcdStore({
      ...parseEtcdConfig(config.text, config.path),
      clock: deps.clock,
      log: deps.log.child({ [fields.cluster]: config.cluster }),
    });
    return deps.metrics ? measureStore(store, deps.clock, deps.metrics) : store;
  };
}
