import type { Store, WatchBatch, WatchOptions } from '../../kvstore/index.ts';
import { StoreChangedError } from './errors.ts';

/** Throws when what is gone may not be taken for deleted. Called before anything that has gone is handed on. */
export type ConfirmGone = () => Promise<void>;

/**
 * What the watch stores of one cluster read from: always the store of the present connection. It ends a watch whose store turns out to have been replaced, instead of letting it list again: a store that begins anew is not complete
 * before its canaries are there, so the whole connection starts over and waits for them.
 *
 * With `confirm`, no deletion and no end of a listing (which makes deletions of what it lacks) passes before that has
 * agreed.
 */
export class FeedSource implements Pick<Store, 'listAndWatch'> {
  #store: Pick<Store, 'listAndWatch'> | undefined;
  #confirm: ConfirmGone | undefined;

  use(store: Pick<Store, 'listAndWatch'>, confirm?: ConfirmGone): void {
    this.#store = store;
    this.#confirm = confirm;
  }

  async *listAndWatch(prefix: string | Uint8Array, options: WatchOptions): AsyncGenerator<WatchBatch, void, void> {
    if (!this.#store) throw new TypeError('There is no connection to read from');
    let started = false;
    for await (const batch of this.#store.listAndWatch(prefix, options)) {
      if (batch.type === 'restart') {
        if (started && batch.reason === 'store-replaced') throw new StoreChangedError();
        started = true;
      } else if (this.#confirm && (batch.type === 'synced' || hasDeletes(batch))) await this.#confirm();
      yield batch;
    }
  }
}

function hasDeletes(batch: WatchBatch & { readonly type: 'changes' }): boolean {
  const { packed } = batch;
  if (!packed) return batch.events.some(({ type }) => type === 'delete');
  for (let i = 0; i < packed.length; i++) if ((packed.spans[4 * i + 2] as number) < 0) return true;
  return false;
}
