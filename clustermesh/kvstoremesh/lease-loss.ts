import type { Clock } from '../../runtime/clock/index.ts';
import type { Operation, Store } from '../../kvstore/index.ts';
import { type Heartbeat, type WentKey, wentWithLease } from '../remote/index.ts';
import { type Layout, type Resource, clusterConfigKey, syncedKey } from '../wire/index.ts';
import type { RemovalJudge } from './reflector.ts';

export interface LeaseLossOptions {
  readonly cluster: string;
  readonly layout: Layout;
  /** The remote marks complete sets. */
  readonly syncedCanaries: boolean;
  readonly heartbeat: Pick<Heartbeat, 'stale'>;
  readonly clock: Clock;
}

const keysAtOnce = 64;
/** A writer that begins anew has said everything by then. */
const settledMs = 120_000;

/**
 * Tells deletions from the end of a lease, of one connection. With its lease a remote cluster loses all it has written, its
 * cluster configuration too, in one revision: then nothing that has gone was deleted by anybody, and it is about to come back
 * or its writer is dead (clustermesh-behaviour §6, kvstore-schema §12.4). So a removal is believed only when the
 * configuration is older than it, and the writer gives signs of life.
 */
export class LeaseLoss implements RemovalJudge {
  readonly #store: Pick<Store, 'get' | 'transact' | 'leaseTtl'>;
  readonly #options: LeaseLossOptions;
  /** Since when the writer gives signs of life again. */
  #heardSinceMs: number | undefined;

  constructor(store: Pick<Store, 'get' | 'transact' | 'leaseTtl'>, options: LeaseLossOptions) {
    this.#store = store;
    this.#options = options;
  }

  async believedFrom(signal: AbortSignal): Promise<number | undefined> {
    if (this.#options.heartbeat.stale) return undefined;
    return await this.#createdAt(clusterConfigKey(this.#options.cluster), signal);
  }

  async wentWithLease(gone: WentKey, signal: AbortSignal): Promise<boolean> {
    return await wentWithLease(this.#store, gone, signal);
  }

  async believesListing(resource: Resource, revision: number, signal: AbortSignal): Promise<boolean> {
    const config = await this.believedFrom(signal);
    if (config === undefined || config > revision) return false;
    if (!this.#options.syncedCanaries) return true;
    const canary = await this.#createdAt(this.#canaryKey(resource), signal);
    return canary !== undefined && canary <= revision;
  }

  /**
   * Whether the writer is back and has said everything anew since `heldFrom`: then what is still missing is gone. It has where
   * its canary is younger; where nothing but its silence spoke against the removals, also once it has been heard for a while. Never
   * while it has no canary where it writes such.
   */
  async isBack(resource: Resource, heldFrom: number, signal: AbortSignal): Promise<boolean> {
    const { heartbeat, syncedCanaries, clock } = this.#options;
    if (heartbeat.stale) this.#heardSinceMs = undefined;
    else this.#heardSinceMs ??= clock.monotonicMs();
    const config = await this.believedFrom(signal);
    if (config === undefined || this.#heardSinceMs === undefined) return false;
    const canary = syncedCanaries ? await this.#store.get(this.#canaryKey(resource), { signal }) : undefined;
    // Without it nothing is complete, be it that another store has taken the place of the one that `heldFrom` is of.
    if (syncedCanaries && !canary) return false;
    if (config < heldFrom && clock.monotonicMs() - this.#heardSinceMs >= settledMs) return true;
    return canary !== undefined && canary.modRevision > heldFrom;
  }

  /** Of each key, whether the remote store lacks it now. */
  async areGone(keys: readonly Uint8Array[], signal: AbortSignal): Promise<boolean[]> {
    const gone: boolean[] = [];
    for (let at = 0; at < keys.length; at += keysAtOnce) {
      const then = keys.slice(at, at + keysAtOnce).map((key): Operation => ({ type: 'get', key }));
      const { results } = await this.#store.transact({ when: [], then }, { signal });
      for (const result of results) gone.push(result.type === 'get' && result.entry === undefined);
    }
    return gone;
  }

  #canaryKey(resource: Resource): string {
    return syncedKey(this.#options.cluster, resource, this.#options.layout);
  }

  async #createdAt(key: string, signal: AbortSignal): Promise<number | undefined> {
    return (await this.#store.get(key, { signal }))?.createRevision;
  }
}
