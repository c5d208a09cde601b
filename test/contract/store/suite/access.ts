import { expect } from '@jest/globals';
import { PermissionDeniedError, type Store } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import type { StoreContext } from './context.ts';
import { Follower } from './follower.ts';
import type { Guarded } from './ports.ts';
import { eventually } from './waiting.ts';

/** A missing permission is an error, and never looks like an absent key, an empty listing or a deletion. */
export function accessCases(context: StoreContext, owes: Owes): void {
  /** A store with two keys that the reader may read and two that it may not. */
  const prepared = async (scene: Guarded): Promise<Guarded> => {
    await scene.owner.deletePrefix('');
    for (const key of ['open/a', 'open/rw/a', 'closed/a', 'closed/b']) await scene.owner.put(key, 'x');
    return { ...scene, reader: context.wrap(scene.reader), stranger: context.wrap(scene.stranger) };
  };
  const guarded = async (run: (scene: Guarded) => Promise<void>): Promise<void> =>
    run(await prepared(await context.guarded()));
  const denied = (call: Promise<unknown>): Promise<void> => expect(call).rejects.toThrow(PermissionDeniedError);

  owes('A1', 'a reader reads and follows what it may, empty prefixes too', () =>
    guarded(async ({ owner, reader }) => {
      expect(await reader.get('open/a')).toBeDefined();
      expect(await reader.get('open/none')).toBeUndefined();
      expect([...(await context.contents('open/', reader)).keys()]).toEqual(['open/a', 'open/rw/a']);
      expect(await context.entries('open/none/', reader)).toEqual([]);
      await using follower = await new Follower(reader, 'open/none/').whenSynced();
      await owner.put('open/none/a', 'x');
      await follower.holds(new Map([['open/none/a', 'x']]));
      await owner.delete('open/none/a');
      await follower.holds(new Map());
    }),
  );

  owes('A2', 'reading a key without permission is refused, whether it exists or not', () =>
    guarded(async ({ reader, stranger }) => {
      for (const store of [reader, stranger])
        for (const key of ['closed/a', 'closed/none']) {
          await denied(store.get(key));
          await denied(store.transact({ when: [], then: [{ type: 'get', key }] }));
        }
      await denied(stranger.get('open/a'));
    }),
  );

  owes('A2', 'listing without permission is refused, and never empty', () =>
    guarded(async ({ reader, stranger }) => {
      for (const prefix of ['closed/', 'closed/none/', '']) await denied(context.entries(prefix, reader));
      for (const prefix of ['open/', 'closed/', '']) await denied(context.entries(prefix, stranger));
    }),
  );

  owes('A2', 'a listing of which only a part may be read is refused, and never that part', () =>
    guarded(async ({ owner, reader }) => {
      await owner.put('op', 'outside');
      await denied(context.entries('op', reader));
    }),
  );

  owes('A3', 'a watch without permission fails, and is never synced', () =>
    guarded(async ({ reader, stranger }) => {
      for (const [store, prefix] of [
        [reader, 'closed/'],
        [reader, 'closed/none/'],
        [reader, ''],
        [stranger, 'open/'],
      ] as const) {
        const follower = new Follower(store, prefix);
        await eventually(() => follower.error !== undefined || follower.synced);
        expect(follower.error).toBeInstanceOf(PermissionDeniedError);
        expect(follower.marks).not.toContain('synced');
        await follower.stop();
      }
    }),
  );

  owes('A4', 'writing without permission is refused and changes nothing', () =>
    guarded(async ({ owner, reader }) => {
      const before = await context.contents('', owner);
      await denied(reader.put('closed/a', 'y'));
      await denied(reader.put('open/a', 'y'));
      await denied(reader.put('open/new', 'y'));
      await denied(reader.delete('open/a'));
      await denied(reader.deletePrefix('open/'));
      await denied(reader.deletePrefix('closed/'));
      expect(await context.contents('', owner)).toEqual(before);
    }),
  );

  owes('A4', 'a transaction of which one operation is not permitted is refused whole', () =>
    guarded(async ({ owner, reader }) => {
      await denied(
        reader.transact({
          when: [],
          then: [
            { type: 'put', key: 'open/rw/b', value: 'x' },
            { type: 'put', key: 'closed/c', value: 'x' },
          ],
        }),
      );
      expect(await owner.get('open/rw/b')).toBeUndefined();
      expect(await owner.get('closed/c')).toBeUndefined();
    }),
  );

  owes('A4', 'a condition on a key that may not be read is refused', () =>
    guarded(async ({ owner, reader }) => {
      const when = [{ key: 'closed/a', target: 'create', result: 'greater', value: 0 } as const];
      await denied(reader.transact({ when, then: [{ type: 'put', key: 'open/rw/b', value: 'x' }] }));
      expect(await owner.get('open/rw/b')).toBeUndefined();
    }),
  );

  owes('A1', 'who may write a part writes there', () =>
    guarded(async ({ owner, reader }) => {
      await reader.put('open/rw/a', 'y');
      await reader.transact({ when: [], then: [{ type: 'put', key: 'open/rw/b', value: 'y' }] });
      expect((await reader.delete('open/rw/a')).deleted).toBe(true);
      expect([...(await context.contents('open/rw/', owner)).keys()]).toEqual(['open/rw/b']);
    }),
  );

  owes('A5', 'rights that are taken away end a watch with an error or leave it be; they delete nothing', async () => {
    await using own = await context.disturbance('guarded')();
    const scene = await prepared(own);
    await using follower = await new Follower(scene.reader, 'open/').whenSynced();
    await scene.revokeReader();
    await refusedFromNowOn(scene.reader);
    await scene.owner.put('open/new', 'x');
    // Whether a running watch ends at once is up to the store; what it knew stays.
    await eventually(() => follower.error !== undefined || follower.state.has('open/new'));
    expect(follower.removed).toEqual([]);
    if (follower.error !== undefined) expect(follower.error).toBeInstanceOf(PermissionDeniedError);
  });
}

async function refusedFromNowOn(store: Store): Promise<void> {
  await eventually(() =>
    store.get('open/a').then(
      () => false,
      (error: unknown) => error instanceof PermissionDeniedError,
    ),
  );
}
