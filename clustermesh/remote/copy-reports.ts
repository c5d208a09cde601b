import { Condition } from '../../runtime/tasks/index.ts';
import type { Store, StoreHealth } from '../../kvstore/index.ts';
import { CopyReportReader, type CopyReportReaderDeps, type CopyState, notRead } from './copy-report-reader.ts';

export interface CopyReportsDeps extends CopyReportReaderDeps {
  /** The own cluster's, where most kvstoremeshes write. */
  readonly store: Pick<Store, 'listAndWatch' | 'health'>;
}

type ReadStore = Pick<Store, 'listAndWatch' | 'health'>;

/** A store that is not the own cluster's, and from which copies are read over one connection or many. */
interface Place {
  readonly reader: CopyReportReader;
  readonly free: Condition;
  busy: boolean;
  followers: number;
}

const unknown: CopyState = { state: 'unknown' };

/**
 * What kvstoremeshes say of the remote clusters that they copy. Who reads a copy hears the heartbeat of the store that it lies in, which goes
 * on when the remote is cut off and when the copier is dead. A kvstoremesh reports where it writes: in the own cluster's store, or in one
 * that it serves itself; so reports are read where the copies are. Connections to one store share one reader.
 */
export class CopyReports {
  readonly #deps: CopyReportsDeps;
  readonly #own: CopyReportReader;
  readonly #places = new Map<string, Place>();

  constructor(deps: CopyReportsDeps) {
    this.#deps = deps;
    this.#own = new CopyReportReader(deps);
  }

  /**
   * @param store from which the copies are read, as it says of itself
   * @param leased whether its configuration there has a lease. Cilium's kvstoremesh gives one to all it writes, ours to nothing.
   */
  of(cluster: string, { store, leased }: { readonly store: StoreHealth; readonly leased: boolean }): CopyState {
    if (leased) return unknown;
    if (this.#isOwn(store)) return this.#own.verdict(cluster) ?? unknown;
    const place = this.#places.get(placeOf(store));
    const verdict = place ? place.reader.verdict(cluster) : notRead();
    if (verdict) return verdict;
    // A mirror of the own store shows copies and no reports.
    return (this.#own.speaksOf(cluster) ? this.#own.verdict(cluster) : undefined) ?? unknown;
  }

  /** Follows the own store until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#own.run(this.#deps.store, signal);
  }

  /** Reads on over this connection what is said in its store, unless another one does, until `signal` aborts. */
  async follow(store: ReadStore, signal: AbortSignal): Promise<void> {
    if (this.#isOwn(store.health())) return;
    const place = this.#placeAt(placeOf(store.health()));
    place.followers++;
    try {
      while (place.busy) await place.free.until(() => !place.busy, signal);
      place.busy = true;
      try {
        await place.reader.run(store, signal);
      } finally {
        place.busy = false;
        place.free.notify();
      }
    } finally {
      place.followers--;
    }
  }

  /** What was said where nobody reads any more is kept until copies are read somewhere else: connections come back. */
  #placeAt(key: string): Place {
    const known = this.#places.get(key);
    if (known) return known;
    for (const [other, { followers }] of this.#places) if (followers === 0) this.#places.delete(other);
    const place = { reader: new CopyReportReader(this.#deps), free: new Condition(), busy: false, followers: 0 };
    this.#places.set(key, place);
    return place;
  }

  #isOwn(store: StoreHealth): boolean {
    const { storeId } = this.#deps.store.health();
    return storeId !== undefined && storeId === store.storeId;
  }
}

function placeOf({ storeId, endpoint }: StoreHealth): string {
  return storeId ?? endpoint;
}
