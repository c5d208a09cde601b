import { expect } from '@jest/globals';
import type { Store } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import { type StoreContext, text } from './context.ts';
import { again } from './waiting.ts';

/** What readers see of what was written, and when. */
export function readCases(context: StoreContext, owes: Owes): void {
  owes('W1', 'an acknowledged write is seen by get, list and transaction', async () => {
    const prefix = context.prefix();
    for (let i = 0; i < 10; i++) {
      const { revision } = await context.store.put(`${prefix}a`, `${i}`);
      expect(text((await context.store.get(`${prefix}a`))?.value)).toBe(`${i}`);
      expect(await context.contents(prefix)).toEqual(new Map([[`${prefix}a`, `${i}`]]));
      const { results } = await context.store.transact({ when: [], then: [{ type: 'get', key: `${prefix}a` }] });
      expect(results).toMatchObject([{ type: 'get', entry: { modRevision: revision } }]);
    }
  });

  owes('W1', 'an acknowledged write is seen by every other client at once', async () => {
    const key = `${context.prefix()}a`;
    await using other = await context.another();
    for (let i = 0; i < 30; i++) {
      const [writer, reader] = i % 2 === 0 ? [context.store, other] : [other, context.store];
      await writer.put(key, `${i}`);
      expect(text((await reader.get(key))?.value)).toBe(`${i}`);
    }
  });

  owes('W1', 'an acknowledged deletion is seen by every other client at once', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    for (let i = 0; i < 10; i++) {
      await context.store.put(`${prefix}a`, `${i}`);
      await context.store.delete(`${prefix}a`);
      expect(await other.get(`${prefix}a`)).toBeUndefined();
      expect(await context.entries(prefix, other)).toEqual([]);
    }
  });

  owes('W1', 'a reader that looks again and again never sees a key go back', async () => {
    const key = `${context.prefix()}a`;
    await context.store.put(key, '0');
    await using other = await context.another();
    const seen = { own: [] as number[], other: [] as number[] };
    const read = async (store: Store, into: number[]): Promise<void> =>
      void into.push(Number(text((await store.get(key))?.value)));
    await using reading = again(() => Promise.all([read(context.store, seen.own), read(other, seen.other)]));
    for (let i = 1; i <= 100; i++) await context.store.put(key, `${i}`);
    await reading.stop();
    for (const values of [seen.own, seen.other]) expect(values).toEqual(values.toSorted((a, b) => a - b));
  });

  owes('R3', 'the revision of a listing never goes back', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    const revisions: number[] = [];
    await using listing = again(async (i) => {
      for await (const page of (i % 2 ? other : context.store).list(prefix)) revisions.push(page.revision);
    });
    for (let i = 0; i < 60; i++) await context.store.put(`${prefix}${i % 7}`, `${i}`);
    await listing.stop();
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
  });

  owes('R3', 'the revision of a listing is at least that of the last write before it', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    for (let i = 0; i < 10; i++) {
      const { revision } = await context.store.put(`${prefix}a`, `${i}`);
      for await (const page of other.list(prefix)) expect(page.revision).toBeGreaterThanOrEqual(revision);
    }
  });

  owes('W2', 'writes that are awaited one after another have growing revisions', async () => {
    const prefix = context.prefix();
    const revisions: number[] = [];
    for (let i = 0; i < 20; i++) revisions.push((await context.store.put(`${prefix}${i % 3}`, `${i}`)).revision);
    expect(revisions).toEqual([...new Set(revisions)].toSorted((a, b) => a - b));
  });

  owes(
    'W3',
    'a key that is put and deleted many times at once is there exactly if the last change was a put',
    async () => {
      const key = `${context.prefix()}a`;
      const changes = await Promise.all(
        Array.from({ length: 30 }, async (_, i) => {
          if (i % 2 === 0) return { ...(await context.store.put(key, `${i}`)), value: `${i}` };
          const { revision, deleted } = await context.store.delete(key);
          return { revision: deleted ? revision : 0, value: undefined };
        }),
      );
      const last = changes.toSorted((a, b) => b.revision - a.revision)[0];
      expect(text((await context.store.get(key))?.value)).toBe(last?.value);
    },
  );

  owes('W3', 'of many who delete a key one has deleted it', async () => {
    const key = `${context.prefix()}a`;
    await context.store.put(key, 'x');
    const tries = await Promise.all(Array.from({ length: 10 }, () => context.store.delete(key)));
    expect(tries.filter(({ deleted }) => deleted)).toHaveLength(1);
  });
}
