import type { Store } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { Random } from '../../runtime/random/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import type { MaxConnectedClusters } from '../../values/identity/index.ts';
import { type Layout, encodeTime, heartbeatKey } from '../wire/index.ts';
import type { MockFault } from './faults.ts';
import { MockCluster, type MockKind } from './mock-cluster.ts';
import { MockWriter } from './mock-writer.ts';
import { type MockShape, checkMockShape } from './shape.ts';

export interface MockMeshOptions {
  readonly shape: MockShape;
  /** `cache`: all clusters in one store, as a kvstoremesh keeps them; `state`: each in a store of its own. */
  readonly layout: Layout;
  readonly maxConnectedClusters?: MaxConnectedClusters;
  /** Ids begin here; 1 unless told. */
  readonly firstClusterId?: number;
  readonly seed: number;
  readonly faults?: readonly MockFault[];
  /** From one fault to the next; 10 s unless told. */
  readonly faultEveryMs?: number;
  readonly leaseTtlSeconds?: number;
}

export interface MockMeshDeps {
  /** The store of a cluster; in layout `cache` the same for all. */
  readonly storeOf: (cluster: string) => Store;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told of every batch that is written while the stores are filled. */
  readonly onProgress?: (written: number, total: number) => void;
}

export interface MockCounts {
  readonly keys: number;
  readonly changes: number;
  readonly faults: number;
}

const heartbeatMs = 60_000;
/** Changes are dealt out in slices of this length, spread over all clusters. */
const sliceMs = 100;

/** Clusters that are records only, in stores that anything may read as the stores of a mesh. */
export class MockMesh {
  readonly #options: MockMeshOptions;
  readonly #deps: MockMeshDeps;
  readonly #random: Random;
  readonly #clusters: readonly { readonly cluster: MockCluster; readonly writer: MockWriter }[];
  #keys = 0;
  #changes = 0;
  #faults = 0;

  /** @throws {RangeError} for a shape that no mesh can hold */
  constructor(options: MockMeshOptions, deps: MockMeshDeps) {
    const { shape, layout, seed, maxConnectedClusters: max = 255, firstClusterId: first = 1 } = options;
    checkMockShape(shape, max);
    if (first < 1 || first + shape.clusters - 1 > max)
      throw new RangeError(`Cluster ids must be from 1 to ${max}, found ${first} to ${first + shape.clusters - 1}`);
    this.#options = options;
    this.#deps = deps;
    this.#random = new Random(seed);
    this.#clusters = Array.from({ length: shape.clusters }, (_, i) => {
      const id = first + i;
      const name = mockClusterName(id);
      const cluster = new MockCluster({ name, id, shape, layout, maxConnectedClusters: max, seed });
      const leaseTtlSeconds = options.leaseTtlSeconds ?? 900;
      return {
        cluster,
        writer: new MockWriter(
          { cluster, layout, maxConnectedClusters: max, leaseTtlSeconds },
          { store: deps.storeOf(name), clock: deps.clock },
        ),
      };
    });
  }

  get counts(): MockCounts {
    return { keys: this.#keys, changes: this.#changes, faults: this.#faults };
  }

  /** Names in the order of ids. */
  get names(): readonly string[] {
    return this.#clusters.map(({ cluster }) => cluster.name);
  }

  /** Writes everything once, canaries last, as an apiserver does. */
  async fill(signal: AbortSignal): Promise<void> {
    const { nodes, identities, endpoints, services, clusters } = this.#options.shape;
    const total = clusters * (nodes + identities + endpoints + services);
    await this.#beatOnce(signal);
    for (const { writer, cluster } of this.#clusters)
      await writer.fill(cluster.records(), signal, (written) => {
        this.#keys += written;
        this.#deps.onProgress?.(this.#keys, total);
      });
  }

  /** Heartbeats, and changes at the rates of the shape, until `signal` aborts. {@link fill} comes first. */
  async run(signal: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(signal);
    tasks.run((running) => this.#beat(running));
    tasks.run((running) => this.#churn(running));
    const { faults = [] } = this.#options;
    if (faults.length > 0) tasks.run((running) => this.#disturb(faults, running));
    await tasks.wait();
  }

  async #churn(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    const { endpointChanges, identityChanges, nodeChanges } = this.#options.shape;
    const rates: readonly [MockKind, number][] = [
      ['endpoint', endpointChanges],
      ['identity', identityChanges],
      ['node', nodeChanges],
    ];
    const started = clock.monotonicMs();
    const done = new Map<MockKind, number>();
    for (;;) {
      await clock.sleep(sliceMs, signal);
      const seconds = (clock.monotonicMs() - started) / 1000;
      for (const [kind, rate] of rates) {
        const due = Math.floor(seconds * rate * this.#clusters.length);
        for (let count = done.get(kind) ?? 0; count < due; count++) await this.#change(kind, signal);
        done.set(kind, due);
      }
    }
  }

  async #change(kind: MockKind, signal: AbortSignal): Promise<void> {
    const { cluster, writer } = this.#anyCluster();
    await writer.write([cluster.change(kind)], signal);
    this.#changes += 1;
  }

  async #disturb(faults: readonly MockFault[], signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    for (;;) {
      await clock.sleep(this.#options.faultEveryMs ?? 10_000, signal);
      const fault = faults[this.#random.int(faults.length)] ?? 'lease';
      const { cluster, writer } = this.#anyCluster();
      log.info('Fault', { fault, [fields.cluster]: cluster.name });
      this.#faults += 1;
      await writer.disturb(fault, signal);
    }
  }

  async #beat(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#deps.clock.sleep(heartbeatMs, signal);
      await this.#beatOnce(signal);
    }
  }

  async #beatOnce(signal: AbortSignal): Promise<void> {
    const value = encodeTime(this.#deps.clock.now());
    for (const store of new Set(this.names.map((name) => this.#deps.storeOf(name))))
      await store.put(heartbeatKey, value, { signal });
  }

  #anyCluster(): { readonly cluster: MockCluster; readonly writer: MockWriter } {
    const found = this.#clusters[this.#random.int(this.#clusters.length)];
    if (!found) throw new RangeError('A mock has at least one cluster');
    return found;
  }
}

/** `cluster-001`, as in Cilium's own mock. */
export function mockClusterName(id: number): string {
  return `cluster-${String(id).padStart(3, '0')}`;
}
