import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import type { Store } from '../../kvstore/index.ts';
import { type InvalidRecordError, clusterConfigKey } from '../wire/index.ts';
import { ConfigChangedError, LeaseLostError, hintFor } from './errors.ts';
import { misreadOf } from './misread.ts';
import type { FoundClusterConfig } from './read-cluster-config.ts';

export interface ConfigPresenceDeps {
  readonly store: Pick<Store, 'get'>;
  readonly log: Logger;
  /** What stands there has become unreadable, or is again what was read. */
  readonly onChange?: (() => void) | undefined;
}

const lookMs = 60_000;

/**
 * Whether a cluster's configuration is still the one that was read when the connection began. It is under the lease of
 * the cluster's writer, and other clusters may only read it, not watch it (kvstore-schema §13); so it is asked for
 * whenever keys go, and once a minute. An answer that was asked for after keys went tells whether they were deleted or
 * their lease has ended, since a lease takes all its keys in one revision. Several questions at a time are one. What was
 * overwritten with something that nobody can read does not end anything: the one before goes on counting.
 */
export class ConfigPresence {
  readonly #deps: ConfigPresenceDeps;
  readonly #cluster: string;
  readonly #found: FoundClusterConfig;
  readonly #signal: AbortSignal;
  #misread: InvalidRecordError | undefined;
  #asking: Promise<void> | undefined;
  #next: Promise<void> | undefined;

  /** @param signal ends every question */
  constructor(deps: ConfigPresenceDeps, cluster: string, found: FoundClusterConfig, signal: AbortSignal) {
    this.#deps = deps;
    this.#cluster = cluster;
    this.#found = found;
    this.#signal = signal;
  }

  /** Why what stands there now cannot be read; undefined while it is what was read. */
  get misread(): InvalidRecordError | undefined {
    return this.#misread;
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
    const key = clusterConfigKey(this.#cluster);
    const entry = await this.#deps.store.get(key, { signal: this.#signal });
    if (entry?.createRevision !== this.#found.createRevision) throw new LeaseLostError(this.#cluster);
    const isSame = Buffer.compare(entry.value, this.#found.value) === 0;
    const misread = isSame ? undefined : misreadOf(key, entry.value);
    if (!isSame && !misread) throw new ConfigChangedError(this.#cluster);
    if (misread?.message === this.#misread?.message) return;
    this.#misread = misread;
    if (misread)
      this.#deps.log.warn('The configuration of a remote cluster cannot be read: it is followed by the one before', {
        [fields.error]: misread,
        [fields.hint]: hintFor(misread),
      });
    this.#deps.onChange?.();
  }
}
