import { expect } from '@jest/globals';
import { Mirror, contentsOf, writeMany } from './mirror.ts';
import { type Owe, type StartScene, prefix, quick } from './scene.ts';

/** What goes wrong between a client and its store, and in the store. */
export function faultCases(scene: StartScene, owes: Owe, idsSurviveWipe: boolean): void {
  owes('cut again and again in the middle of catching up, it loses nothing and repeats nothing', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    await at.cutOff();
    const written = await writeMany(at.direct, `${prefix}new/`, 3000);
    const before = at.proxy.connections;
    at.proxy.cutAtByte(40_000);
    await at.proxy.set('pass');
    await mirror.until(() => at.proxy.connections > before + 1);
    at.proxy.cutAtByte(60_000, { reset: true });
    at.proxy.cut();
    await mirror.until(() => at.proxy.connections > before + 2);
    at.proxy.cutAtByte(30_000);
    at.proxy.cut();
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.live).toEqual(inOrder(written));
  });

  owes('cut at any byte after the reconnect, it loses nothing and repeats nothing', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    const written: string[] = [];
    for (let bytes = 20; bytes < 900; bytes += 40) {
      await at.cutOff();
      written.push(...(await writeMany(at.direct, `${prefix}new/${bytes}/`, 5)));
      at.proxy.cutAtByte(bytes, { reset: bytes % 80 === 20 });
      await at.proxy.set('pass');
      await mirror.until(() => mirror.live.length === written.length);
    }
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.live).toEqual(inOrder(written));
  });

  owes('cut in the middle of a listing, it goes on behind the last key, and removes nothing', async () => {
    await using at = await scene();
    await writeMany(at.direct, `${prefix}stable/`, 6000, (i) => `${i} ${'x'.repeat(100)}`);
    at.proxy.cutAtByte(200_000);
    const seen: string[] = [];
    await using mirror = new Mirror(
      {
        listAndWatch: async function* (bytes, options) {
          for await (const batch of at.through.listAndWatch(bytes, options)) {
            if (batch.type === 'changes') {
              for (const event of batch.events)
                if (event.type === 'put') seen.push(Buffer.from(event.entry.key).toString());
              if (seen.length === 3000 || seen.length === 5000) at.proxy.cut();
            }
            yield batch;
          }
        },
      },
      prefix,
      { pageSize: 500 },
    );
    await mirror.agreesWith(at.direct, prefix);
    expect(at.proxy.connections).toBeGreaterThan(1);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(seen).toHaveLength(6000);
    expect(new Set(seen).size).toBe(6000);
  });

  owes('when history was compacted meanwhile, it finds out by a listing what has gone', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    await writeMany(at.direct, `${prefix}going/`, 500);
    await mirror.agreesWith(at.direct, prefix);
    await at.cutOff();
    await at.direct.deletePrefix(`${prefix}going/`);
    const { revision } = await at.direct.put('elsewhere', 'x');
    await at.subject.compact(revision);
    await at.proxy.set('pass');
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced', 'compacted', 'synced']);
    expect(mirror.watch.counts.swept).toBe(500);
  });

  for (const [refill, what] of [
    [5, 'fewer'],
    [120, 'more'],
  ] as const)
    owes(`when the store was wiped and refilled to ${what} revisions, it takes over the new state`, async () => {
      await using at = await scene();
      await using mirror = await at.mirror();
      await writeMany(at.direct, `${prefix}old/`, 50);
      await mirror.agreesWith(at.direct, prefix);
      await at.cutOff();
      const id = at.direct.health().storeId;
      await at.wipe();
      await writeMany(at.direct, `${prefix}stable/`, 20);
      await writeMany(at.direct, `${prefix}new/`, refill);
      expect(at.direct.health().storeId === id).toBe(idsSurviveWipe);
      await at.proxy.set('pass');
      await mirror.agreesWith(at.direct, prefix);
      expect(mirror.marks).toEqual(['start', 'synced', 'store-replaced', 'synced']);
      await at.direct.put(`${prefix}after`, '1');
      await mirror.agreesWith(at.direct, prefix);
    });

  owes('when a wiped store has the newest key again at the same revision, it is found out by the others', async () => {
    await using at = await scene();
    await at.wipe();
    for (const key of ['1', '2', '3']) await at.direct.put(`${prefix}${key}`, key);
    await using mirror = new Mirror(at.through, prefix);
    await mirror.agreesWith(at.direct, prefix);
    await at.cutOff();
    await at.wipe();
    for (const key of ['4', '2', '3', '5']) await at.direct.put(`${prefix}${key}`, key);
    await at.proxy.set('pass');
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced', 'store-replaced', 'synced']);
  });

  owes('when the store was wiped while the prefix was empty, it hears of what comes next', async () => {
    await using at = await scene();
    await writeMany(at.direct, 'elsewhere/', 50);
    await using mirror = new Mirror(at.through, prefix);
    await mirror.agreesWith(at.direct, prefix);
    await at.cutOff();
    await at.wipe();
    await writeMany(at.direct, `${prefix}new/`, 5);
    await at.proxy.set('pass');
    await mirror.agreesWith(at.direct, prefix);
  });

  owes('when the server is killed and comes back, it goes on without a listing', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    await at.subject.kill();
    await new Promise((resolve) => setTimeout(resolve, 500));
    await at.subject.restart();
    const written = await writeMany(at.direct, `${prefix}new/`, 50);
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.live).toEqual(inOrder(written));
  });

  owes('when too many revisions have passed, it lists rather than replays', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    await at.cutOff();
    await writeMany(at.direct, 'elsewhere/', 5200);
    await at.direct.put(`${prefix}new`, '1');
    await at.proxy.set('pass');
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced', 'too-far-behind', 'synced']);
  });

  owes('takes a connection that is accepted and closed for what it is: nothing is removed', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    await at.proxy.set('accept-then-close');
    at.proxy.cut();
    const before = at.proxy.connections;
    await mirror.until(() => at.proxy.connections > before + 3);
    expect(mirror.state.size).toBe(20);
    await expect(at.through.get('x', { signal: AbortSignal.timeout(300) })).rejects.toThrow(/timeout/);
    await at.proxy.set('pass');
    await at.direct.put(`${prefix}new`, '1');
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
  });

  owes('notices a link that swallows everything, and recovers', async () => {
    await using at = await scene(quick);
    await using mirror = await at.mirror();
    await at.proxy.set('black-hole');
    await mirror.until(() => !at.through.health().connected);
    await at.direct.put(`${prefix}new`, '1');
    await at.proxy.set('pass');
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(at.through.health()).toMatchObject({ connected: true });
  });

  owes('catches up over more than 4 MiB and a thousand revisions, with a reader that had stopped', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    const go = mirror.hold();
    const written = await writeMany(at.direct, `${prefix}big/`, 1500, (i) => `${i} ${'x'.repeat(4000)}`);
    await at.cutOff();
    await at.proxy.set('pass');
    go();
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.marks).toEqual(['start', 'synced']);
    expect(mirror.live).toEqual(inOrder(written));
  });

  owes('works over a slow link', async () => {
    await using at = await scene();
    await using mirror = await at.mirror();
    at.proxy.delay(30);
    const written = await writeMany(at.direct, `${prefix}new/`, 200);
    await mirror.agreesWith(at.direct, prefix);
    expect(mirror.live).toEqual(inOrder(written));
    expect((await contentsOf(at.through, prefix)).size).toBe(220);
  });
}

/** Revisions decide the order, not the order in which concurrent answers came. */
function inOrder(lines: readonly string[]): string[] {
  const revisionOf = (line: string): number => Number(line.slice(line.lastIndexOf('@') + 1));
  return lines.toSorted((a, b) => revisionOf(a) - revisionOf(b));
}
