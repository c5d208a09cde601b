import { describe, expect, test } from '@jest/globals';
import {
  type KeyValue,
  type RestartReason,
  type WatchBatch,
  type WatchEvent,
  WatchStore,
  toBytes,
} from '../../../../kvstore/index.ts';
import { createLogger, silentLogger } from '../../../../runtime/log/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { shuffled, randomFrom } from '../random.ts';

const prefix = 'cilium/state/ip/v1/';

/** Plays batches to whoever watches, then waits for the end or fails. */
function storeOf(batches: readonly WatchBatch[], ending: 'wait' | Error = 'wait') {
  return {
    async *listAndWatch(_: unknown, { signal }: { signal: AbortSignal }): AsyncGenerator<WatchBatch, void, void> {
      yield* batches;
      if (ending !== 'wait') throw ending;
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
}

const entry = (key: string, value: string, revision = 1): KeyValue => ({
  key: toBytes(prefix + key),
  value: toBytes(value),
  createRevision: revision,
  modRevision: revision,
  version: 1,
  lease: 0n,
});
const put = (key: string, value: string, revision = 1): WatchEvent => ({
  type: 'put',
  entry: entry(key, value, revision),
});
const del = (key: string, revision = 1): WatchEvent => ({ type: 'delete', key: toBytes(prefix + key), revision });
const changes = (...events: WatchEvent[]): WatchBatch => ({ type: 'changes', events, revision: 9 });
const restart = (reason: RestartReason = 'start'): WatchBatch => ({ type: 'restart', reason });
const synced: WatchBatch = { type: 'synced', revision: 9 };

/** Remembers what it was told, as lines and as state. */
function recorder(refuse: (key: string) => boolean = () => false) {
  const lines: string[] = [];
  const state = new Map<string, string>();
  return {
    lines,
    state,
    upsert(key: string, value: Uint8Array) {
      lines.push(`+${key}`);
      if (refuse(key)) throw new Error(`I do not like ${key}`);
      state.set(key, Buffer.from(value).toString());
    },
    remove(key: string) {
      lines.push(`-${key}`);
      if (refuse(key)) throw new Error(`I do not like ${key}`);
      state.delete(key);
    },
    synced: () => void lines.push('synced'),
    restart: (reason: RestartReason) => void lines.push(`restart ${reason}`),
  };
}

async function play(watch: WatchStore, batches: readonly WatchBatch[]): Promise<void> {
  await watch.run(new AbortController().signal, storeOf(batches, new Error('over'))).catch(() => undefined);
}

function watchStore(observer = recorder()): { watch: WatchStore; observer: ReturnType<typeof recorder> } {
  return { observer, watch: new WatchStore({ store: storeOf([]), prefix, observer, log: silentLogger }) };
}

describe('a watch store', () => {
  test('tells keys without their prefix, in the order of the store', async () => {
    const { watch, observer } = watchStore();
    await play(watch, [restart(), changes(put('b', '1'), put('a', '2')), synced, changes(del('b'), put('c', '3'))]);
    expect(observer.lines).toEqual(['restart start', '+b', '+a', 'synced', '-b', '+c']);
  });

  test('is synced from the end of a listing until it starts over or the run ends', async () => {
    const seen: boolean[] = [];
    const observer = { ...recorder(), synced: () => undefined };
    const store = {
      async *listAndWatch(): AsyncGenerator<WatchBatch, void, void> {
        for (const batch of [restart(), changes(put('a', '1')), synced, changes(put('b', '2')), restart('compacted')]) {
          yield batch;
          seen.push(watch.synced);
        }
      },
    };
    const watch = new WatchStore({ store, prefix, observer, log: silentLogger });
    await watch.run(new AbortController().signal);
    expect(seen).toEqual([false, false, true, true, false]);
    expect(watch.synced).toBe(false);
  });

  test('treats keys that an earlier life knew like its own: a complete listing that lacks them removes them', async () => {
    const { watch, observer } = watchStore();
    for (const key of ['a', 'b']) watch.assume(key, toBytes('old'));
    expect([watch.size, watch.synced]).toEqual([2, false]);
    await play(watch, [restart(), changes(put('a', 'new'))]);
    expect([...observer.state]).toEqual([
      ['a', 'new'],
      ['b', 'old'],
    ]);
    await play(watch, [restart(), changes(put('a', 'new')), synced]);
    expect(observer.lines.slice(2)).toEqual(['restart start', '+a', 'restart start', '+a', '-b', 'synced']);
  });

  test('removes what a complete listing lacks, and nothing before', async () => {
    const { watch, observer } = watchStore();
    await play(watch, [restart(), changes(put('a', '1'), put('b', '1'), put('c', '1')), synced]);
    observer.lines.length = 0;
    await play(watch, [restart(), changes(put('b', '2'))]);
    expect(observer.lines).toEqual(['restart start', '+b']);
    expect(watch.size).toBe(3);
    await play(watch, [restart('store-replaced'), changes(put('c', '3')), synced]);
    expect(observer.lines.slice(2)).toEqual(['restart store-replaced', '+c', '-a', '-b', 'synced']);
    expect(watch.counts).toMatchObject({ upserts: 5, removes: 2, swept: 2, restarts: 3 });
  });

  test('keeps what it knows when a run ends in the middle of a listing', async () => {
    const { watch, observer } = watchStore();
    await play(watch, [restart(), changes(put('a', '1'), put('b', '1')), synced]);
    await play(watch, [restart()]);
    await play(watch, []);
    expect([...observer.state.keys()]).toEqual(['a', 'b']);
  });

  test('removes everything when the listing is empty', async () => {
    const { watch, observer } = watchStore();
    await play(watch, [restart(), changes(put('a', '1')), synced]);
    await play(watch, [restart(), synced]);
    expect(observer.state.size).toBe(0);
    expect(watch.size).toBe(0);
  });

  test('does not tell the removal of a key that it never told', async () => {
    const { watch, observer } = watchStore();
    await play(watch, [restart(), synced, changes(del('ghost'))]);
    expect(observer.lines).toEqual(['restart start', 'synced']);
  });

  test('delivers the rest when the observer throws, and counts and logs it once a batch', async () => {
    const lines: string[] = [];
    const log = createLogger({
      level: 'warn',
      format: 'text',
      clock: new VirtualClock(),
      write: (line) => void lines.push(line),
    });
    const observer = recorder((key) => key.startsWith('bad'));
    const watch = new WatchStore({ store: storeOf([]), prefix, observer, log });
    await play(watch, [
      restart(),
      changes(put('a', '1'), put('bad1', 'x'), put('bad2', 'x'), put('b', '1')),
      synced,
      changes(del('bad1'), del('a')),
    ]);
    expect([...observer.state.keys()]).toEqual(['b']);
    expect(observer.lines).toContain('-bad1');
    expect(watch.counts.failures).toBe(3);
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('key=bad1');
    expect(lines[0]).toContain('count=2');
  });

  test('skips a key that is no UTF-8 and counts it', async () => {
    const { watch, observer } = watchStore();
    const broken = { ...entry('x', '1'), key: Buffer.concat([Buffer.from(prefix), Buffer.from([0xff, 0xfe])]) };
    await play(watch, [restart(), changes({ type: 'put', entry: broken }, put('a', '1')), synced]);
    expect([...observer.state.keys()]).toEqual(['a']);
    expect(watch.counts.failures).toBe(1);
  });

  test('drains to nothing and can be used again', async () => {
    const { watch, observer } = watchStore();
    await play(watch, [restart(), changes(put('a', '1'), put('b', '1')), synced]);
    watch.drain();
    expect(observer.lines.slice(-2)).toEqual(['-a', '-b']);
    expect(watch.size).toBe(0);
    await play(watch, [restart(), changes(put('a', '1')), synced]);
    expect([...observer.state.keys()]).toEqual(['a']);
  });

  test('refuses to be run or drained while it runs', async () => {
    const { watch } = watchStore();
    const controller = new AbortController();
    const running = watch.run(controller.signal);
    await expect(watch.run(controller.signal)).rejects.toThrow('twice');
    expect(() => watch.drain()).toThrow('being followed');
    controller.abort();
    await running;
  });

  test('reports the revision that everything was told up to', async () => {
    const { watch } = watchStore();
    await play(watch, [restart(), synced, { type: 'changes', events: [put('a', '1', 12)], revision: 12 }]);
    expect(watch.revision).toBe(12);
  });

  test.each(Array.from({ length: 40 }, (_, seed) => seed))(
    'ends in the state of the store whatever the order, cuts and restarts (seed %i)',
    async (seed) => {
      const random = randomFrom(seed);
      const { watch, observer } = watchStore();
      const truth = new Map<string, string>();
      for (let run = 0; run < 6; run++) {
        const listing = shuffled([...truth], random).map(([key, value]) => put(key, value));
        const cutListing = random() < 0.3;
        const listed = cutListing ? listing.slice(0, Math.floor(random() * listing.length)) : listing;
        const batches: WatchBatch[] = [restart(), ...split(listed, random)];
        if (!cutListing) batches.push(synced);
        const live: WatchEvent[] = [];
        const changesMade = cutListing ? 0 : 12;
        for (let i = 0; i < changesMade; i++) {
          const key = `k${Math.floor(random() * 8)}`;
          if (random() < 0.6) {
            truth.set(key, `${run}.${i}`);
            live.push(put(key, `${run}.${i}`));
          } else if (truth.delete(key)) live.push(del(key));
        }
        // What happens while nobody watches shows in the next listing only.
        await play(watch, [...batches, ...split(live, random)]);
        if (random() < 0.5) truth.delete(`k${Math.floor(random() * 8)}`);
        if (random() < 0.5) truth.set(`k${Math.floor(random() * 8)}`, `${run} unseen`);
      }
      await play(watch, [restart('compacted'), ...[...truth].map(([key, value]) => changes(put(key, value))), synced]);
      expect(observer.state).toEqual(truth);
      expect(watch.size).toBe(truth.size);
    },
  );
});

function split(events: readonly WatchEvent[], random: () => number): WatchBatch[] {
  const batches: WatchBatch[] = [];
  for (let i = 0; i < events.length;) {
    const size = 1 + Math.floor(random() * 4);
    batches.push(changes(...events.slice(i, i + size)));
    i += size;
  }
  return batches;
}
