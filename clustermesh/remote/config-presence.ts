import type { Clock } from '../../runtime/clock/index.ts';
import type { Store } from '../../kvstore/index.ts';
import { clusterConfigKey } from '../wire/index.ts';
import { ConfigChangedError, LeaseLostError } from './errors.ts';
import type { FoundClusterConfig } from './read-cluster-config.ts';

const lookMs = 60_000;

/**
 * Whether a cluster's configuration is still the one that was read when the connection began. It is under the lease of
 * the cluster's writer, and other clusters may only read it, not watch it (kvstore-schema §13); so it is asked for
 * whenever keys go, and once a minute. An answer that was asked for after keys went tells whether they were deleted or
 * their lease has ended, since a lease takes all its keys in one revision. Several questions at a time are one.
 */
export class ConfigPresence {
  readonly #store: Pick<Store, 'get'>;
  readonly #cluster: string;
  readonly #found: FoundClusterConfig;
  readonly #signal: AbortSignal;
  #asking: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param signal ends every question */
  constructor(store: Pick<Store, 'get'>, cluster: string, found: FoundClusterConfig, signal: AbortSignal) {
    this.#store = store;
    this.#cluster = cluster;
    this.#found = found;
    this.#signal = signal;
  }

  /** @throws {LeaseLostError} when it has gone, or has gone and come back. {@link ConfigChangedError} */
  async confirm(): Promise<void> {
    // What is being asked at present may be answered from before: the next question is ours.
    this.#next ??= this.#after(this.#asking);
    await this.#next;
  }

  /** Looks now and then, until the signal aborts. @throws as {@link confirm} */
  async follow(clock: Clock, signal: AbortSignal): Promise<void> {
    for (;;) {
      await clock.sleep(lookMs, signal);
      await this.confirm();
    }
  }

  async #after(asking: Promise<void> | undefined): Promise<void> {
    await asking?.catch(() => undefined);
    this.#asking = this.#next;
    this.#next = undefined;
    const entry = await this.#store.get(clusterConfigKey(this.#cluster), { signal: this.#signal });
    if (entry?.createRevision !== this.#found.createRevision) throw new LeaseLostError(this.#cluster);
    if (Buffer.compare(entry.value, this.#found.value) !== 0) throw new ConfigChangedError(this.#cluster);
  }
}
