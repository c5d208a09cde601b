import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  EngineStore,
  MemoryEngine,
  ReadMirror,
  type RestartReason,
  type Store,
  type WatchBatch,
  toText,
} from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';

const config = 'cilium/cluster-config/east';

/** A store that can be lost, and be another one then. */
class Source {
  readonly #clock: VirtualClock;
  #again = new AbortController();
  store: Store;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
    this.store = this.#new();
  }

  async write(count: number): Promise<void> {
    await this.store.put(config, 'config');
    for (let i = 0; i < count; i++) await this.store.put(`cilium/state/${i}`, `${i}`);
  }

  /** @param fill what is in it when it is first seen */
  async wipe(fill: (store: Store) => Promise<void> = async () => undefined): Promise<void> {
    this.store = this.#new();
    await fill(this.store);
    const before = this.#again;
    this.#again = new AbortController();
    before.abort();
  }

  async *listAndWatch(
    prefix: string | Uint8Array,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<WatchBatch, void, void> {
    for (let reason: RestartReason = 'start'; !signal.aborted; reason = 'store-replaced') {
      const part = AbortSignal.any([signal, this.#again.signal]);
      for await (const batch of this.store.listAndWatch(prefix, { signal: part }))
        yield batch.type === 'restart' ? { type: 'restart', reason } : batch;
    }
  }

  #new(): Store {
    const clock = this.#clock;
    return new EngineStore(new MemoryEngine({ clock }), { clock, endpoint: 'source' });
  }
}

describe('A read-only mirror with a key that vouches for the others', () => {
  let clock: VirtualClock;
  let source: Source;
  let reader: Store;
  let mirror: ReadMirror;
  let stopping: AbortController;
  let done: Promise<void>;

  beforeEach(async () => {
    clock = new VirtualClock();
    source = new Source(clock);
    stopping = new AbortController();
    mirror = new ReadMirror({
      from: source,
      prefix: 'cilium/',
      vouching: config,
      clock,
      log: silentLogger,
      serve: async (engine) => {
        reader = new EngineStore(engine, { clock, endpoint: 'mirror' });
        return { [Symbol.asyncDispose]: async () => undefined };
      },
    });
    await source.write(300);
    done = mirror.run(stopping.signal);
    await passed(() => mirror.status().synced);
  });
  afterEach(async () => {
    stopping.abort();
    await done;
  });

  const passed = async (holds: () => boolean | Promise<boolean>): Promise<void> =>
    await until(holds, () => clock.advance(10));
  async function keys(): Promise<string[]> {
    const found: string[] = [];
    for await (const { entries } of reader.list('')) found.push(...entries.map(({ key }) => toText(key)));
    return found;
  }
  /** Every key whose removal a reader is told. */
  function removals(): string[] {
    const seen: string[] = [];
    void (async () => {
      for await (const batch of reader.listAndWatch('cilium/', { signal: stopping.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'delete') seen.push(toText(event.key));
    })();
    return seen;
  }

  test('removes at once what goes while that key is there', async () => {
    await source.store.delete('cilium/state/7');
    await passed(async () => !(await keys()).includes('cilium/state/7'));
    expect(mirror.status()).toMatchObject({ keys: 300, held: 0 });
  });

  test('tells nobody of a wiped store, if everything is written again', async () => {
    const gone = removals();
    const before = mirror.status().revision;
    await source.wipe();
    await passed(() => mirror.status().synced && mirror.status().held === 301);
    expect(await keys()).toHaveLength(301);
    await source.write(300);
    await passed(() => mirror.status().held === 0);
    await clock.advance(600_000);
    expect([gone, (await keys()).length]).toEqual([[], 301]);
    expect(mirror.status().revision).toBe(before);
  });

  test('nor of one whose writer has begun again when it is first seen, and removes in time what does not come back', async () => {
    const gone = removals();
    await source.wipe(async (store) => void (await store.put(config, 'config')));
    await passed(() => mirror.status().synced && mirror.status().held === 300);
    await source.write(290);
    await passed(() => mirror.status().held === 10);
    await clock.advance(100_000);
    expect(gone).toEqual([]);
    await clock.advance(40_000);
    await passed(() => mirror.status().held === 0);
    expect(gone.toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => `cilium/state/${290 + i}`));
    expect(await keys()).toHaveLength(291);
    await source.store.delete('cilium/state/1');
    await passed(async () => (await keys()).length === 290);
  });

  test('keeps what goes with a lease, for a day, and shows what is changed when it comes back', async () => {
    const gone = removals();
    await source.store.deletePrefix('cilium/');
    await passed(() => mirror.status().held === 301);
    await source.store.put('cilium/state/5', 'another');
    await passed(async () => toText((await reader.get('cilium/state/5'))?.value ?? new Uint8Array()) === 'another');
    await clock.advance(23 * 3_600_000);
    expect([gone.length, (await keys()).length]).toEqual([0, 301]);
    await clock.advance(3_700_000);
    await passed(() => mirror.status().held === 0);
    expect(await keys()).toEqual(['cilium/state/5']);
  });
});
