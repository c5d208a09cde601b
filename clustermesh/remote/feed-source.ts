import { type Store, type WatchBatch, type WatchOptions, toBytes, toText } from '../../kvstore/index.ts';
import { StoreChangedError } from './errors.ts';
import { type WentKey, suspects } from './went-with-lease.ts';

/**
 * Throws when what is gone may not be taken for deleted. Called before anything that has gone is handed on, with keys that may
 * have gone with a lease.
 */
export type ConfirmGone = (together: readonly WentKey[]) => Promise<void>;

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
      } else if (this.#confirm && (batch.type === 'synced' || hasDeletes(batch)))
        await this.#confirm(batch.type === 'synced' ? [] : suspects(toText(toBytes(prefix)), goneIn(batch)));
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

function* goneIn(batch: WatchBatch & { readonly type: 'changes' }): Generator<WentKey, void, void> {
  const { packed } = batch;
  if (!packed) {
    for (const event of batch.events) if (event.type === 'delete') yield event;
    return;
  }
  const { length, buffers, spans, revisions } = packed;
  for (let i = 0; i < length; i++) {
    if ((spans[4 * i + 2] as number) >= 0) continue;
    const key = new Uint8Array((buffers[i] as Uint8Array).subarray(spans[4 * i], spans[4 * i + 1]));
    yield { key, revision: revisions[i] as number };
  }
}
