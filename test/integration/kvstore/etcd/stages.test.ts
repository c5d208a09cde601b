import { beforeAll, describe, expect, jest, test } from '@jest/globals';
import { type Store, UnavailableError, type WatchBatch } from '../../../../kvstore/index.ts';
import { builtBinary } from '../../../support/built-binary.ts';
import { etcdBinary } from '../../../support/etcd.ts';
import { needs } from '../../../support/probe.ts';
import { Mirror, writeMany } from './mirror.ts';
import { type Scene, openScene, prefix, quick } from './scene.ts';
import { type Subject, clientOf, embeddedSubject, etcdSubject } from './subjects.ts';

jest.setTimeout(120_000);

type Break = 'cut' | 'reset' | 'stall';
const breaks: readonly Break[] = ['cut', 'reset', 'stall'];

/** A listing of three hundred keys is some 30 kB: nothing yet, settings, headers, keys, the last key, trailers, beyond. */
const stages = [1, 9, 30, 60, 120, 500, 5000, 12_000, 20_000, 26_000, 29_000, 29_600, 30_200, 31_000];
const keys = 300;

function breakAt(at: Scene, how: Break, bytes: number): void {
  if (how === 'stall') at.proxy.stallAtByte(bytes);
  else at.proxy.cutAtByte(bytes, { reset: how === 'reset' });
}

/** Follows the prefix over a link that breaks at that byte; tells what was wrong with what it was told. */
async function followBroken(
  at: Scene,
  how: Break,
  bytes: number,
  source: (store: Store) => Pick<Store, 'listAndWatch'>,
  patienceMs: number,
): Promise<string> {
  breakAt(at, how, bytes);
  await using store = clientOf({ host: '127.0.0.1', port: at.proxy.port }, quick);
  await using mirror = new Mirror(source(store), prefix);
  try {
    await mirror.agreesWith(at.direct, prefix, patienceMs);
    const { length } = mirror.marks;
    return length === 2 ? '' : `${how} at ${bytes}: ${mirror.marks.join()}`;
  } catch (error) {
    return `${how} at ${bytes}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Takes a listing that was cut off for a complete one: what a client does that trusts the end of a stream. */
function credulous(store: Store): Pick<Store, 'listAndWatch'> {
  return {
    listAndWatch: async function* (bytes, { signal }): AsyncGenerator<WatchBatch, void, void> {
      yield { type: 'restart', reason: 'start' };
      let revision = 0;
      try {
        for await (const page of store.list(bytes, { signal, pageSize: 50 })) {
          ({ revision } = page);
          yield { type: 'changes', revision, events: page.entries.map((entry) => ({ type: 'put', entry })) };
        }
      } catch (error) {
        if (!(error instanceof UnavailableError)) throw error;
      }
      yield { type: 'synced', revision };
      await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    },
  };
}

function scenarios(start: () => Promise<Subject>): void {
  test.each(breaks)('broken at every stage of a listing (%s), it ends with all of it, once', async (how) => {
    await using at = await openScene(start);
    await writeMany(at.direct, `${prefix}stable/`, keys, (i) => `${i} ${'x'.repeat(50)}`);
    const wrong: string[] = [];
    for (const bytes of stages) wrong.push(await followBroken(at, how, bytes, (store) => store, 60_000));
    expect(wrong.filter((text) => text !== '')).toEqual([]);
  });

  test.each(breaks)('broken at every stage of a watch (%s), it loses nothing and repeats nothing', async (how) => {
    await using at = await openScene(start, quick);
    await using mirror = await at.mirror();
    const lines: string[] = [];
    // A stall takes its time to be noticed.
    const places = how === 'stall' ? [9, 130, 300, 900] : [1, 9, 60, 130, 200, 300, 420, 560, 900, 2000];
    for (const bytes of places) {
      breakAt(at, how, bytes);
      at.proxy.cut();
      lines.push(...(await writeMany(at.direct, `${prefix}new/${bytes}/`, 20)));
      await mirror.agreesWith(at.direct, prefix);
    }
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(new Set(mirror.live)).toEqual(new Set(lines));
    expect(mirror.live).toHaveLength(lines.length);
  });

  test('half open, the other end gone without a word, it finds out and goes on', async () => {
    await using at = await openScene(start, quick);
    await using mirror = await at.mirror();
    at.proxy.stall();
    await at.direct.put(`${prefix}new`, '1');
    await at.direct.delete(`${prefix}gone`);
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(at.through.health().reconnections).toBeGreaterThan(0);
  });

  test('when history is compacted between two pages of a listing, it lists again and removes what has gone', async () => {
    await using at = await openScene(start, { maxPage: 50 });
    await writeMany(at.direct, `${prefix}stable/`, 200);
    await writeMany(at.direct, `${prefix}going/`, 200);
    let seen = 0;
    let compacted = false;
    await using mirror = new Mirror(
      {
        listAndWatch: async function* (bytes, options) {
          for await (const batch of at.through.listAndWatch(bytes, options)) {
            yield batch;
            if (batch.type === 'changes') seen += batch.events.length;
            if (seen < 100 || compacted) continue;
            compacted = true;
            await at.direct.deletePrefix(`${prefix}going/`);
            await writeMany(at.direct, `${prefix}coming/`, 30);
            const { revision } = await at.direct.put('elsewhere', 'x');
            await at.subject.compact(revision);
          }
        },
      },
      prefix,
    );
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'compacted', 'synced']);
    expect(mirror.state.size).toBe(230);
  });

  test.each([
    { written: 5, what: 'fewer' },
    { written: 200, what: 'more' },
  ])(
    'when an older backup is restored and $what revisions are written than were lost, it has the new state',
    async ({ written }) => {
      await using at = await openScene(start);
      await using mirror = await at.mirror();
      await at.subject.backup();
      await at.direct.get('anything');
      await writeMany(at.direct, `${prefix}lost/`, 50);
      await at.direct.deletePrefix(`${prefix}lost/1`);
      await mirror.agreesWith(at.direct, prefix);
      const before = mirror.marks.length;
      await at.cutOff();
      await at.subject.restore();
      await at.direct.get('anything');
      await writeMany(at.direct, `${prefix}other/`, written);
      await at.proxy.set('pass');
      await mirror.agreesWith(at.direct, prefix);
      expect(mirror.marks.slice(before)).toEqual(['store-replaced', 'synced']);
      await at.direct.put(`${prefix}after`, '1');
      await mirror.agreesWith(at.direct, prefix);
    },
  );
}

describe('the etcd client before the embedded store', () => {
  scenarios(embeddedSubject);

  test('would be found out if it took a listing that was cut for a complete one', async () => {
    await using at = await openScene(embeddedSubject);
    await writeMany(at.direct, `${prefix}stable/`, keys, (i) => `${i} ${'x'.repeat(50)}`);
    const wrong = await followBroken(at, 'cut', 20_000, credulous, 1000);
    expect(wrong).toMatch(/Not the state of the store: stable.* differs/);
  });
});

needs('etcd')('the etcd client before etcd 3.6', () => {
  beforeAll(() => builtBinary(etcdBinary), 600_000);
  scenarios(etcdSubject);
});
