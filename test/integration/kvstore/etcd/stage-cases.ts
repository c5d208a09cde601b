import { expect } from '@jest/globals';
import { Mirror, writeMany } from './mirror.ts';
import { type Owe, type Scene, type StartScene, prefix, quick } from './scene.ts';

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
async function followBroken(at: Scene, how: Break, bytes: number): Promise<string> {
  breakAt(at, how, bytes);
  await using store = at.another(quick);
  await using mirror = new Mirror(store, prefix);
  try {
    await mirror.agreesWith(at.direct, prefix);
    const { length } = mirror.marks;
    return length === 2 ? '' : `${how} at ${bytes}: ${mirror.marks.join()}`;
  } catch (error) {
    return `${how} at ${bytes}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** The link breaks at every stage, and the store becomes another one. */
export function stageCases(scene: StartScene, owes: Owe): void {
  for (const how of breaks)
    owes(`broken at every stage of a listing (${how}), it ends with all of it, once`, async () => {
      await using at = await scene();
      await writeMany(at.direct, `${prefix}stable/`, keys, (i) => `${i} ${'x'.repeat(50)}`);
      for (const bytes of stages) expect(await followBroken(at, how, bytes)).toBe('');
    });

  for (const how of breaks)
    owes(`broken at every stage of a watch (${how}), it loses nothing and repeats nothing`, async () => {
      await using at = await scene(quick);
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

  owes('half open, the other end gone without a word, it finds out and goes on', async () => {
    await using at = await scene(quick);
    await using mirror = await at.mirror();
    at.proxy.stall();
    await at.direct.put(`${prefix}new`, '1');
    await at.direct.delete(`${prefix}gone`);
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(at.through.health().reconnections).toBeGreaterThan(0);
  });

  owes(
    'when history is compacted between two pages of a listing, it lists again and removes what has gone',
    async () => {
      await using at = await scene({ maxPage: 50 });
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
    },
  );

  for (const [written, what] of [
    [5, 'fewer'],
    [200, 'more'],
  ] as const)
    owes(
      `when an older backup is restored and ${what} revisions are written than were lost, it has the new state`,
      async () => {
        await using at = await scene();
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
