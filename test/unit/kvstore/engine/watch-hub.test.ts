import { describe, expect, test } from '@jest/globals';
import { type Change, MvccEngine } from '../../../../kvstore/engine/index.ts';
import { WatchHub } from '../../../../kvstore/engine/watch-hub.ts';
import type { RequestOp } from '../../../../kvstore/contract/index.ts';
import type { Engine, EngineWatcher, WatchRequest } from '../../../../kvstore/index.ts';
import { MemoryBackend } from '../../../../kvstore/memory/memory-backend.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';

const everything = { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) };

class Seen {
  readonly lines: string[] = [];
  readonly arrays: unknown[] = [];
  compacted: number | undefined;
  failed: unknown;
  readonly watcher: EngineWatcher;

  constructor(engine: Engine, request: Partial<WatchRequest> = {}) {
    this.watcher = engine.watch(
      { ...everything, ...request },
      {
        events: (events, revision) => {
          this.arrays.push(events);
          for (const { type, kv, prevKv } of events)
            this.lines.push(
              `${type} ${Buffer.from(kv.key).toString()}=${Buffer.from(kv.value).toString()}@${kv.modRevision}` +
                `${prevKv ? ` was ${Buffer.from(prevKv.value).toString()}` : ''} of ${revision}`,
            );
        },
        compacted: (revision) => (this.compacted = revision),
        failed: (error) => (this.failed = error),
      },
    );
  }
}

async function open(): Promise<MemoryEngine & AsyncDisposable> {
  return new MemoryEngine({ clock: new VirtualClock() });
}
const put = (engine: Engine, key: string, value: string) =>
  engine.put({ key: Buffer.from(key), value: Buffer.from(value) });
const turn = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
};

describe('watchers of an engine', () => {
  test('without a start revision only what comes from now on is seen', async () => {
    await using engine = await open();
    await put(engine, 'a', '1');
    const seen = new Seen(engine);
    expect(seen.watcher.synced).toBe(true);
    await put(engine, 'a', '2');
    expect(seen.lines).toEqual(['put a=2@3 of 3']);
  });

  test('nothing is handed over before the call that registers has returned', async () => {
    await using engine = await open();
    await put(engine, 'a', '1');
    const seen = new Seen(engine, { startRevision: 2 });
    expect(seen.lines).toEqual([]);
    expect(seen.watcher.synced).toBe(false);
    await turn();
    expect(seen.lines).toEqual(['put a=1@2 of 2']);
    expect(seen.watcher.synced).toBe(true);
  });

  test('history and present meet without gap or repetition, whatever is written meanwhile', async () => {
    await using engine = await open();
    for (let i = 0; i < 5000; i++) void put(engine, 'a', `${i}`);
    await put(engine, 'a', 'last of history');
    const seen = new Seen(engine, { startRevision: 100 });
    for (let i = 0; i < 50; i++) {
      await put(engine, 'b', `${i}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await turn();
    const revisions = seen.lines.map((line) => Number(/@(\d+)/.exec(line)?.[1]));
    expect(revisions).toEqual(Array.from({ length: 5052 - 100 + 1 }, (_, i) => i + 100));
  });

  test('a start revision in the future waits for it', async () => {
    await using engine = await open();
    const seen = new Seen(engine, { startRevision: 4 });
    for (const value of ['1', '2', '3', '4']) await put(engine, 'a', value);
    expect(seen.lines).toEqual(['put a=3@4 of 4', 'put a=4@5 of 5']);
  });

  test('a start below the compaction ends the watcher with the compaction revision', async () => {
    await using engine = await open();
    for (const value of ['1', '2', '3']) await put(engine, 'a', value);
    await engine.compact(3);
    const seen = new Seen(engine, { startRevision: 2 });
    const still = new Seen(engine, { startRevision: 3 });
    await turn();
    expect(seen.compacted).toBe(3);
    expect(seen.lines).toEqual([]);
    expect(still.lines).toEqual(['put a=2@3 of 4', 'put a=3@4 of 4']);
  });

  test('a paused watcher gets nothing, and afterwards everything it missed', async () => {
    await using engine = await open();
    const seen = new Seen(engine);
    await put(engine, 'a', '1');
    seen.watcher.pause();
    for (const value of ['2', '3']) await put(engine, 'a', value);
    await turn();
    expect(seen.lines).toHaveLength(1);
    seen.watcher.resume();
    await put(engine, 'a', '4');
    await turn();
    expect(seen.lines.map((line) => line.slice(0, 7))).toEqual(['put a=1', 'put a=2', 'put a=3', 'put a=4']);
  });

  test('a watcher that was paused while history was compacted is told so', async () => {
    await using engine = await open();
    const seen = new Seen(engine);
    seen.watcher.pause();
    for (const value of ['1', '2', '3']) await put(engine, 'a', value);
    await engine.compact(4);
    await turn();
    expect(seen.compacted).toBeUndefined();
    seen.watcher.resume();
    await turn();
    expect(seen.compacted).toBe(4);
  });

  test('a sink may pause its watcher while it is handed events', async () => {
    await using engine = await open();
    let count = 0;
    const watcher = engine.watch(everything, {
      events: (events) => {
        count += events.length;
        watcher.pause();
      },
      compacted: () => undefined,
      failed: () => undefined,
    });
    for (let i = 0; i < 10; i++) await put(engine, 'a', `${i}`);
    expect(count).toBe(1);
    watcher.resume();
    await turn();
    expect(count).toBe(10);
  });

  test('history of large values is handed over in small pieces, so that a sink can stop it', async () => {
    await using engine = await open();
    for (let i = 0; i < 20; i++) await put(engine, 'a', 'v'.repeat(500_000));
    const handed: number[] = [];
    const watcher = engine.watch(
      { ...everything, startRevision: 2 },
      {
        events: (events, revision) => {
          handed.push(events.reduce((sum, { kv }) => sum + kv.value.length, 0));
          expect(events.at(-1)?.kv.modRevision).toBe(revision);
          watcher.pause();
        },
        compacted: () => undefined,
        failed: () => undefined,
      },
    );
    await turn();
    expect(handed).toEqual([1_500_000]);
    for (let i = 0; i < 10; i++) {
      watcher.resume();
      await turn();
    }
    expect(handed).toEqual([...Array(6).fill(1_500_000), 1_000_000]);
  });

  test('so is what one commit brings, and a sink that stopped reads the rest from history', async () => {
    await using engine = await open();
    const handed: string[] = [];
    let stops = true;
    const watcher = engine.watch(everything, {
      events: (events, revision) => {
        handed.push(`${events.map(({ kv }) => kv.modRevision).join(' ')} of ${revision}`);
        if (stops) watcher.pause();
      },
      compacted: () => undefined,
      failed: () => undefined,
    });
    const seen = new Seen(engine);
    await Promise.all(Array.from({ length: 5 }, () => put(engine, 'a', 'v'.repeat(600_000))));
    expect(handed).toEqual(['2 3 of 3']);
    stops = false;
    watcher.resume();
    await turn();
    expect(handed).toEqual(['2 3 of 3', '4 5 of 5', '6 of 6']);
    expect(seen.lines.map((line) => / of (\d)$/.exec(line)?.[1])).toEqual(['3', '3', '5', '5', '6']);
  });

  test('a change is looked at for those who watch its key, however many watch others', async () => {
    await using backend = new MemoryBackend();
    const hub = new WatchHub(backend, () => undefined);
    let events = 0;
    const sink = {
      events: (some: readonly unknown[]) => void (events += some.length),
      compacted: () => undefined,
      failed: () => undefined,
    };
    for (let i = 0; i < 1000; i++) {
      hub.add({ key: Buffer.from(`single/${i}`) }, sink);
      hub.add({ key: Buffer.from(`range/${i}/`), rangeEnd: Buffer.from(`range/${i}0`) }, sink);
    }
    let looks = 0;
    const value = new Uint8Array(0);
    const change = (key: string, modRevision: number): Change => ({
      row: {
        get kv() {
          looks++;
          return { key: Buffer.from(key), value, createRevision: 2, modRevision, version: 1, lease: 0n };
        },
        deleted: false,
        sub: 0,
        createSub: 0,
      },
      replaced: undefined,
    });
    hub.deliver([change('single/7', 2), change('range/7/x', 2), change('other', 2)], 2);
    expect(events).toBe(2);
    expect(looks).toBeLessThan(20);
  });

  test('of a commit of many changes that many ranges have, those that most share get all, and the others read it from history', async () => {
    await using engine = await open();
    const ops = Array.from({ length: 120 }, (_, i): RequestOp => {
      return { type: 'put', request: { key: Buffer.from(`k${i}`), value: Buffer.from('v') } };
    });
    for (let i = 0; i < 25; i++)
      await engine.txn({
        compare: [],
        failure: [],
        success: ops.map((op) =>
          op.type === 'put'
            ? { ...op, request: { ...op.request, key: Buffer.concat([op.request.key, Buffer.from(`/${i}`)]) } }
            : op,
        ),
      });
    const keys = 25 * 120;
    const shared = Array.from(
      { length: 3 },
      () => new Seen(engine, { key: Buffer.from('k'), rangeEnd: Buffer.from('l') }),
    );
    const own = Array.from({ length: 80 }, (_, i) => new Seen(engine, { rangeEnd: Buffer.from(`l${i}`) }));
    const single = new Seen(engine, { key: Buffer.from('k5/5'), rangeEnd: new Uint8Array(0) });
    const other = new Seen(engine, { key: Buffer.from('m'), rangeEnd: Buffer.from('n') });
    const deleting = engine.deleteRange({ key: Buffer.from('k'), rangeEnd: Buffer.from('l') });
    const { deleted } = await deleting;
    expect(deleted).toBe(keys);
    // As a commit is told in one go, what they have now was made in it.
    expect(shared.map((seen) => seen.lines.length)).toEqual([keys, keys, keys]);
    const atOnce = own.reduce((sum, seen) => sum + seen.lines.length, 0);
    expect(atOnce).toBeLessThan(60_000);
    await put(engine, 'k-after', '1');
    const want = [...(shared[0]?.lines ?? [])];
    expect(want).toHaveLength(keys + 1);
    await until(
      () => own.every((seen) => seen.lines.length > keys) && single.lines.length > 0,
      () => turn(),
    );
    const bare = (lines: readonly string[]): string[] => lines.map((line) => line.replace(/ of \d+$/, ''));
    for (const seen of own) expect(bare(seen.lines)).toEqual(bare(want));
    expect(bare(single.lines)).toEqual([expect.stringMatching(/^delete k5\/5=@/)]);
    expect(other.lines).toEqual([]);
  });

  test('what is large is not handed to hundreds of watchers at once, and none misses it', async () => {
    await using engine = await open();
    for (let i = 0; i < 20; i++) await engine.put({ key: Buffer.from(`k${i}`), value: Buffer.alloc(1_000_000) });
    const had = Array.from({ length: 40 }, () => 0);
    for (const i of had.keys())
      engine.watch(
        { ...everything, prevKv: true },
        {
          events: (events) => void (had[i] = (had[i] ?? 0) + events.length),
          compacted: () => undefined,
          failed: () => undefined,
        },
      );
    await engine.deleteRange({ key: Buffer.from('k'), rangeEnd: Buffer.from('l') });
    const atOnce = had.filter((events) => events === 20).length;
    expect(atOnce).toBeGreaterThan(5);
    expect(atOnce).toBeLessThan(20);
    await until(
      () => had.every((events) => events === 20),
      () => turn(),
    );
  });

  test('a watcher of a quiet key that pauses reads on from the present', async () => {
    await using engine = await open();
    const quiet = new Seen(engine, { key: Buffer.from('quiet'), rangeEnd: Buffer.from('quieu') });
    for (let i = 0; i < 5; i++) await put(engine, 'busy', `${i}`);
    quiet.watcher.pause();
    await engine.compact(engine.revision);
    await put(engine, 'quiet', 'x');
    quiet.watcher.resume();
    await turn();
    expect(quiet.compacted).toBeUndefined();
    expect(quiet.lines).toEqual(['put quiet=x@7 of 7']);
  });

  test.each([
    { what: 'of one range', of: () => everything },
    {
      what: 'each of a range of its own',
      of: (i: number) => ({ key: Buffer.from('a'), rangeEnd: Buffer.from(`b${i}`) }),
    },
  ])('thousands of watchers $what are not all handed a commit at once, and none misses anything', async ({ of }) => {
    await using engine = await open();
    const count = 5000;
    let handed = 0;
    const seen = Array.from({ length: count }, (): string[] => []);
    const watchers = seen.map((lines, i) =>
      engine.watch(of(i), {
        events: (events, revision) => {
          handed += 1;
          for (const { kv } of events) lines.push(`${kv.modRevision} of ${revision}`);
        },
        compacted: () => undefined,
        failed: () => undefined,
      }),
    );
    expect(watchers.every(({ synced }) => synced)).toBe(true);
    let atOnce = 0;
    const written: number[] = [];
    for (let i = 0; i < 4; i++) {
      const before = handed;
      const putting = put(engine, 'a', String(i)).then(({ revision }) => {
        written.push(revision);
        atOnce = Math.max(atOnce, handed - before);
      });
      // Some pause while they are behind; they go on from where they were.
      watchers[4000 + i]?.pause();
      await putting;
      watchers[4990 + i]?.pause();
    }
    expect(atOnce).toBeGreaterThan(0);
    expect(atOnce).toBeLessThanOrEqual(2000);
    for (const watcher of watchers) watcher.resume();
    await until(() => watchers.every(({ synced }) => synced));
    for (const lines of seen) expect(lines.map((line) => Number(line.split(' ')[0]))).toEqual(written);
    await put(engine, 'a', 'last');
    await until(() => seen.every((lines) => lines.length === 5));
  });

  test('filters leave out puts or deletes', async () => {
    await using engine = await open();
    const noPut = new Seen(engine, { noPut: true });
    const noDelete = new Seen(engine, { noDelete: true });
    await put(engine, 'a', '1');
    await engine.deleteRange({ key: Buffer.from('a') });
    expect(noPut.lines).toEqual(['delete a=@3 of 3']);
    expect(noDelete.lines).toEqual(['put a=1@2 of 2']);
  });

  test('a revision that is too large to be read at once comes whole, and others have their turn meanwhile', async () => {
    await using engine = await open();
    await put(engine, 'z', 'before');
    const keys = Array.from({ length: 3000 }, (_, i) => `k/${String(i).padStart(4, '0')}`);
    for (const key of keys) await put(engine, key, 'x');
    const deleted = engine.revision + 1;
    await engine.deleteRange({ key: Buffer.from('k/'), rangeEnd: Buffer.from('k0') });
    await put(engine, 'z', 'behind');

    const whole = new Seen(engine, { startRevision: deleted - 1, prevKv: true });
    const few = new Seen(engine, { startRevision: deleted, key: Buffer.from('k/2998'), rangeEnd: Buffer.from('k/3') });
    const stopped = new Seen(engine, { startRevision: deleted });
    let turns = 0;
    while (!few.watcher.synced && ++turns < 1000) {
      await new Promise((resolve) => setImmediate(resolve));
      // In the middle of the revision, again and again.
      if (turns % 3 !== 0) continue;
      stopped.watcher.pause();
      stopped.watcher.resume();
    }
    await until(() => whole.watcher.synced && stopped.watcher.synced);
    expect(whole.lines).toEqual([
      `put k/2999=x@${deleted - 1} of ${deleted - 1}`,
      ...keys.map((key) => `delete ${key}=@${deleted} was x of ${deleted + 1}`),
      `put z=behind@${deleted + 1} was before of ${deleted + 1}`,
    ]);
    expect(few.lines.map((line) => line.slice(0, 13))).toEqual(['delete k/2998', 'delete k/2999']);
    expect(stopped.lines).toHaveLength(keys.length + 1);
  });

  test('the previous value comes when asked for, live and from history', async () => {
    await using engine = await open();
    const live = new Seen(engine, { prevKv: true });
    await put(engine, 'a', '1');
    await put(engine, 'a', '2');
    await engine.deleteRange({ key: Buffer.from('a') });
    await put(engine, 'a', '3');
    const replayed = new Seen(engine, { prevKv: true, startRevision: 2 });
    await turn();
    const expected = ['put a=1@2', 'put a=2@3 was 1', 'delete a=@4 was 2', 'put a=3@5'];
    expect(live.lines.map((line) => line.replace(/ of \d+$/, ''))).toEqual(expected);
    expect(replayed.lines.map((line) => line.replace(/ of \d+$/, ''))).toEqual(expected);
  });

  test('watchers of the same range get the same array', async () => {
    await using engine = await open();
    const one = new Seen(engine);
    const two = new Seen(engine);
    const other = new Seen(engine, { prevKv: true });
    await put(engine, 'a', '1');
    expect(two.arrays[0]).toBe(one.arrays[0]);
    expect(other.arrays[0]).not.toBe(one.arrays[0]);
  });

  test('a watcher whose history cannot be read is told so and over, and others go on', async () => {
    const backend = new MemoryBackend();
    const errors: unknown[] = [];
    const log = { ...silentLogger, error: (_: string, facts?: object) => void errors.push(facts) };
    const unreadable = new Error('a page is damaged');
    const { log: readLog } = MemoryBackend.prototype;
    backend.log = function* read(revision: number) {
      if (revision === 2) throw unreadable;
      yield* readLog.call(backend, revision);
    };
    await using engine = new MvccEngine(backend, {}, { clock: new VirtualClock(), log });
    await put(engine, 'a', '1');
    await put(engine, 'a', '2');
    // Of one owner, so that they are behind together.
    const [lost, whole] = [new Seen(engine, { startRevision: 2 }), new Seen(engine, { startRevision: 3 })];
    await turn();
    expect({ error: lost.failed, lines: lost.lines, synced: lost.watcher.synced }).toEqual({
      error: unreadable,
      lines: [],
      synced: false,
    });
    expect(errors).toEqual([{ error: unreadable }]);
    await put(engine, 'a', '3');
    expect([lost.lines, whole.lines]).toEqual([[], ['put a=2@3 of 3', 'put a=3@4 of 4']]);
  });

  test('so is one of whom an event lacks what it replaced, and the commit passes', async () => {
    const backend = new MemoryBackend();
    const unreadable = new Error('a page is damaged');
    backend.replacedBy = () => {
      throw unreadable;
    };
    await using engine = new MvccEngine(backend, {}, { clock: new VirtualClock() });
    const [plain, withBefore] = [new Seen(engine), new Seen(engine, { prevKv: true })];
    const key = Buffer.from('a');
    // What the deletion replaced is of the same transaction, so that it is looked for further back.
    const success: RequestOp[] = [
      { type: 'put', request: { key, value: Buffer.from('1') } },
      { type: 'delete', request: { key, rangeEnd: new Uint8Array([0]) } },
    ];
    await engine.txn({ compare: [], success, failure: [] });
    await put(engine, 'a', '2');
    expect({ failed: withBefore.failed, lines: withBefore.lines }).toEqual({ failed: unreadable, lines: [] });
    expect(plain.lines).toEqual(['put a=1@2 of 2', 'delete a=@2 of 2', 'put a=2@3 of 3']);
  });

  test('a sink that throws loses its watcher and nobody else', async () => {
    await using engine = await open();
    engine.watch(everything, {
      events: () => {
        throw new Error('a bug of the sink');
      },
      compacted: () => undefined,
      failed: () => undefined,
    });
    const seen = new Seen(engine);
    await put(engine, 'a', '1');
    await put(engine, 'a', '2');
    expect(seen.lines).toHaveLength(2);
  });
});
