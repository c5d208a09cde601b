import type { Clock } from '../../runtime/clock/index.ts';
import { type Store, toBytes, toText } from '../../kvstore/index.ts';
import {
  type ClusterConfigRecord,
  type Resource,
  clusterConfigKey,
  decodeClusterConfig,
  encodeClusterConfig,
  encodeTime,
  syncedKey,
  syncedPrefix,
} from '../wire/index.ts';
import type { CacheStep, CacheWriter } from './cache-writer.ts';
import { cachedConfig, cachedResources } from './cached-config.ts';

export interface LocalMarksDeps {
  readonly local: Pick<Store, 'get' | 'list'>;
  readonly writer: CacheWriter;
  readonly clock: Clock;
}

const repairMs = 300_000;

/** What the local store says of a remote cluster beside its data: the cluster configuration, and the canaries of the copied sets. */
export class LocalMarks {
  readonly #cluster: string;
  readonly #deps: LocalMarksDeps;
  readonly #canaries = new Set<Resource>();
  #config: ClusterConfigRecord | undefined;

  constructor(cluster: string, deps: LocalMarksDeps) {
    this.#cluster = cluster;
    this.#deps = deps;
  }

  /**
   * Writes the configuration before anything is read of the cluster. When its id has changed, the canaries go in the same
   * revision: what is there still bears the old id, and no reader may take it for complete.
   */
  async publishConfig(remote: ClusterConfigRecord, signal: AbortSignal): Promise<void> {
    this.#config = cachedConfig(remote);
    const key = clusterConfigKey(this.#cluster);
    const value = encodeClusterConfig(this.#config);
    const present = await this.#deps.local.get(key, { signal });
    // One with a lease is from Cilium's kvstoremesh, and would go with that.
    if (present && toText(present.value) === value && present.lease === 0n) return;
    const steps: CacheStep[] = [{ key: toBytes(key), value: toBytes(value) }];
    if (present && idOf(key, present.value) !== remote.id) {
      for (const resource of cachedResources) steps.push({ key: this.#canaryKey(resource), value: undefined });
      this.#canaries.clear();
    }
    await this.#deps.writer.atomically(steps, signal);
  }

  /** Says that a set is complete, once in this life. */
  async writeCanary(resource: Resource, signal: AbortSignal): Promise<void> {
    if (this.#canaries.has(resource)) return;
    await this.#deps.writer.write([this.#canary(resource)], signal);
    this.#canaries.add(resource);
  }

  /** Writes again, now and then, what others have removed or changed. */
  async repairForever(signal: AbortSignal): Promise<void> {
    for (;;) {
      // 255 clusters that came at once do not look at once.
      await this.#deps.clock.sleep(repairMs * (0.5 + Math.random()), signal);
      const present = new Set<string>();
      for await (const { entries } of this.#deps.local.list(syncedPrefix(this.#cluster), { signal }))
        for (const { key } of entries) present.add(toText(key));
      const steps: CacheStep[] = [];
      for (const resource of this.#canaries)
        if (!present.has(syncedKey(this.#cluster, resource, 'cache'))) steps.push(this.#canary(resource));
      if (steps.length > 0) await this.#deps.writer.atomically(steps, signal);
      if (this.#config) await this.publishConfig(this.#config, signal);
    }
  }

  #canary(resource: Resource): CacheStep {
    return { key: this.#canaryKey(resource), value: toBytes(encodeTime(this.#deps.clock.now())) };
  }

  #canaryKey(resource: Resource): Uint8Array {
    return toBytes(syncedKey(this.#cluster, resource, 'cache'));
  }
}

/** Undefined for what somebody else has put there. */
function idOf(key: string, value: Uint8Array): number | undefined {
  try {
    return decodeClusterConfig(key, value).id;
  } catch {
    return undefined;
  }
}
