import { expect } from '@jest/globals';
import { CompactedError } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import { type StoreContext, digits, text } from './context.ts';
import { again } from './waiting.ts';

/** Listings page by page, while others write. */
export function pagingCases(context: StoreContext, owes: Owes): void {
  for (const pageSize of [1, 7, 30, 31, 1000])
    owes('L2', `30 entries come once each in pages of ${pageSize}`, async () => {
      const prefix = context.prefix();
      await context.fill(prefix, 30);
      const keys: string[] = [];
      for await (const page of context.store.list(prefix, { pageSize })) {
        expect(page.entries.length).toBeLessThanOrEqual(pageSize);
        keys.push(...page.entries.map((entry) => text(entry.key) ?? ''));
      }
      expect(keys).toEqual(Array.from({ length: 30 }, (_, i) => prefix + digits(i)));
    });

  owes('L2', 'the key that is the prefix itself belongs to the listing', async () => {
    const prefix = `${context.prefix()}a`;
    for (const name of ['', '/b', 'a']) await context.store.put(prefix + name, 'x');
    expect([...(await context.contents(prefix)).keys()]).toEqual([prefix, `${prefix}/b`, `${prefix}a`]);
  });

  owes('L3', 'what is moved between keys in transactions always adds up in a listing', async () => {
    const prefix = context.prefix();
    const keys = Array.from({ length: 20 }, (_, i) => prefix + digits(i));
    await context.store.transact({ when: [], then: keys.map((key) => ({ type: 'put', key, value: '10' })) });
    await using moving = again((i) => move(context, keys[(i * 7) % 20] ?? '', keys[(i * 3 + 1) % 20] ?? ''));
    for (let round = 0; round < 10; round++) {
      let sum = 0;
      for await (const page of context.store.list(prefix, { pageSize: 3 }))
        for (const { value } of page.entries) sum += Number(text(value));
      expect(sum).toBe(200);
    }
    await moving.stop();
  });

  owes('L3', 'a listing shows all of a transaction or nothing of it', async () => {
    const prefix = context.prefix();
    await using turning = again((i) =>
      context.store.transact({
        when: [],
        then: Array.from({ length: 10 }, (_, at) => ({ type: 'put', key: prefix + digits(at), value: `${i}` })),
      }),
    );
    for (let round = 0; round < 10; round++) {
      const values = new Set<string | undefined>();
      for await (const page of context.store.list(prefix, { pageSize: 4 }))
        for (const { value } of page.entries) values.add(text(value));
      expect(values.size).toBeLessThanOrEqual(1);
    }
    await turning.stop();
  });

  owes('L5', 'a listing under which history is compacted ends whole or says so', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 30);
    const keys: string[] = [];
    const listing = async (): Promise<void> => {
      for await (const page of context.store.list(prefix, { pageSize: 10 })) {
        keys.push(...page.entries.map((entry) => text(entry.key) ?? ''));
        const { revision } = await context.store.put(`${prefix}later`, 'x');
        await context.opened.compact(revision);
      }
    };
    const error = await listing().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (error === undefined) expect(keys).toEqual(Array.from({ length: 30 }, (_, i) => prefix + digits(i)));
    else {
      expect(error).toBeInstanceOf(CompactedError);
      expect(error).toMatchObject({ retry: 'relist' });
    }
  });

  owes('L3', 'listings at the same time, each of its own prefix, do not mix', async () => {
    const prefixes = Array.from({ length: 6 }, () => context.prefix());
    for (const [i, prefix] of prefixes.entries()) await context.fill(prefix, 20 + i);
    const sizes = await Promise.all(
      prefixes.map(async (prefix) => {
        const keys: string[] = [];
        for await (const page of context.store.list(prefix, { pageSize: 6 }))
          keys.push(...page.entries.map((entry) => text(entry.key) ?? ''));
        expect(keys.every((key) => key.startsWith(prefix))).toBe(true);
        return keys.length;
      }),
    );
    expect(sizes).toEqual([20, 21, 22, 23, 24, 25]);
  });
}

/** Moves one from a key to another, if there is any left. */
async function move(context: StoreContext, from: string, to: string): Promise<void> {
  if (from === to) return;
  const [source, target] = [await context.store.get(from), await context.store.get(to)];
  if (!source || !target || Number(text(source.value)) === 0) return;
  await context.store.transact({
    when: [
      { key: from, target: 'mod', result: 'equal', value: source.modRevision },
      { key: to, target: 'mod', result: 'equal', value: target.modRevision },
    ],
    then: [
      { type: 'put', key: from, value: `${Number(text(source.value)) - 1}` },
      { type: 'put', key: to, value: `${Number(text(target.value)) + 1}` },
    ],
  });
}
