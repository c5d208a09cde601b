import { type Lease, LeaseNotFoundError, type Operation, type Store } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import {
  type Layout,
  type Resource,
  clusterConfigKey,
  encodeClusterConfig,
  encodeTime,
  syncedKey,
} from '../wire/index.ts';
import type { MockFault } from './faults.ts';
import type { MockChange, MockCluster } from './mock-cluster.ts';

const resources: readonly Resource[] = ['identities', 'nodes', 'ip', 'services', 'serviceexports', 'endpointslices'];
/** etcd's `--max-txn-ops`. */
const batchSize = 128;
/** How long a disturbed record stays as it is. */
const disturbedMs = 2_000;

export interface MockWriterOptions {
  readonly cluster: MockCluster;
  readonly layout: Layout;
  readonly maxConnectedClusters: MaxConnectedClusters;
  readonly leaseTtlSeconds: number;
}

/** Writes what one mock cluster says, under a lease, as an apiserver does. */
export class MockWriter {
  readonly #options: MockWriterOptions;
  readonly #store: Store;
  readonly #clock: Clock;
  #lease: Lease | undefined;

  constructor(options: MockWriterOptions, { store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#options = options;
    this.#store = store;
    this.#clock = clock;
  }

  /** Everything, then the canaries and the cluster config: whoever connects earlier has nothing to wait for. */
  async fill(
    records: Iterable<MockChange>,
    signal: AbortSignal,
    onWritten: (count: number) => void = () => undefined,
  ): Promise<void> {
    let batch: MockChange[] = [];
    const flush = async (): Promise<void> => {
      await this.write(batch, signal);
      onWritten(batch.length);
      batch = [];
    };
    for (const record of records) {
      batch.push(record);
      if (batch.length === batchSize) await flush();
    }
    if (batch.length > 0) await flush();
    const { cluster, layout } = this.#options;
    const value = encodeTime(this.#clock.now());
    const canaries = resources.map((resource) => put(syncedKey(cluster.name, resource, layout), value));
    await this.write([...canaries, this.#config()], signal);
  }

  /** One transaction. Where the lease has gone meanwhile, all of the cluster is written again under another one. */
  async write(changes: readonly MockChange[], signal: AbortSignal): Promise<void> {
    try {
      await this.#transact(changes, signal);
    } catch (error) {
      if (!(error instanceof LeaseNotFoundError)) throw error;
      await this.#dropLease();
      await this.fill(this.#options.cluster.repeat(), signal);
    }
  }

  async disturb(fault: MockFault, signal: AbortSignal): Promise<void> {
    const { cluster } = this.#options;
    if (fault === 'lease') {
      await this.#lease?.revoke();
      await this.#dropLease();
      await this.fill(cluster.repeat(), signal);
    } else if (fault === 'config') {
      await this.#store.delete(clusterConfigKey(cluster.name), { signal });
      await this.#clock.sleep(disturbedMs, signal);
      await this.write([this.#config()], signal);
    } else {
      const key = cluster.anyEndpointKey();
      const before = key === undefined ? undefined : await this.#store.get(key, { signal });
      if (key === undefined || !before) return;
      const text = Buffer.from(before.value).toString();
      const wrong = fault === 'garbage' ? text.slice(0, -2) : text.replace(/"ID":\d+/, '"ID":16777215');
      await this.#replace(key, wrong, signal);
      await this.#clock.sleep(disturbedMs, signal);
      await this.#replace(key, text, signal);
    }
  }

  /** Only what is there: the endpoint may have gone meanwhile. */
  async #replace(key: string, value: string, signal: AbortSignal): Promise<void> {
    const lease = this.#lease?.id;
    await this.#store.transact(
      {
        when: [{ key, target: 'version', result: 'greater', value: 0 }],
        then: [{ type: 'put', key, value, ...(lease === undefined ? {} : { lease }) }],
      },
      { signal },
    );
  }

  #config(): MockChange {
    const { cluster, layout, maxConnectedClusters } = this.#options;
    const value = encodeClusterConfig({
      id: cluster.id,
      syncedCanaries: true,
      cached: layout === 'cache',
      maxConnectedClusters,
    });
    return put(clusterConfigKey(cluster.name), value);
  }

  async #transact(changes: readonly MockChange[], signal: AbortSignal): Promise<void> {
    const ttlSeconds = this.#options.leaseTtlSeconds;
    this.#lease ??= await this.#store.grantLease({ ttlSeconds, signal });
    const lease = this.#lease.id;
    const then = changes.map((change): Operation => (change.type === 'put' ? { ...change, lease } : change));
    await this.#store.transact({ when: [], then }, { signal });
  }

  async #dropLease(): Promise<void> {
    await this.#lease?.[Symbol.asyncDispose]();
    this.#lease = undefined;
  }
}

function put(key: string, value: string): MockChange {
  return { type: 'put', key, value };
}
