import type { Store, WatchBatch, WatchOptions } from '../../kvstore/index.ts';
import { StoreChangedError } from './errors.ts';

/**
 * What the watch stores of one cluster read from: always the store of the present connection. It ends a watch whose store turns out to have been replaced, instead of letting it list again: a store that begins anew is not complete
 * before its canaries are there, so the whole connection starts over and waits for them.
 */
export class FeedSource implements Pick<Store, 'listAndWatch'> {
  #store: Pick<Store, 'listAndWatch'> | undefined;

  use(store: Pick<Store, 'listAndWatch'>): void {
    this.#store = store;
  }

  async *listAndWatch(prefix: string | Uint8Array, options: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
    if (!this.#store) throw new TypeError('There is no connection to read from');
    let started = false;
    for await (const batch of this.#store.listAndWatch(prefix, options)) {
      if (batch.type === 'restart') {
        if (started && batch.reason === 'store-replaced') throw new StoreChangedError();
        started = true;
      }
      yield batch;
    }
  }
}
