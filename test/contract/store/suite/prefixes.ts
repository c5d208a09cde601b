import { expect } from '@jest/globals';
import { type KeyValue, CompactedError } from '../../../../kvstore/index.ts';
import { type Owes, omitted } from './cases.ts';
import { type StoreContext, digits, text } from './context.ts';

/** Listing and deleting by prefix. */
export function prefixCases(context: StoreContext, owes: Owes): void {
  const { promises } = context;

  owes('L1', 'an empty listing is one page', async () => {
    const pages = [];
    for await (const page of context.store.list(context.prefix())) pages.push(page);
    expect(pages).toEqual([{ entries: [], revision: expect.any(Number), more: false }]);
  });

  owes('L1', 'entries come in byte order of their keys', async () => {
    const prefix = context.prefix();
    for (const name of ['b', 'a/2', 'a', 'a0', 'é', 'B', '~']) await context.store.put(prefix + name, name);
    expect(await names(context, prefix)).toEqual(['B', 'a', 'a/2', 'a0', 'b', '~', 'é'].map(latin1));
  });

  owes('L4', 'a prefix is a prefix of bytes, not of path elements', async () => {
    const prefix = context.prefix();
    for (const name of ['ab', 'abc', 'ab/c', 'ac']) await context.store.put(prefix + name, name);
    expect(await names(context, `${prefix}ab`)).toEqual(['', '/c', 'c']);
  });

  owes('L2', 'pages have the size asked for, and together all entries once', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 25);
    const sizes: number[] = [];
    const keys: (string | undefined)[] = [];
    for await (const page of context.store.list(prefix, { pageSize: 10 })) {
      sizes.push(page.entries.length);
      keys.push(...page.entries.map((entry) => text(entry.key)));
    }
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
    expect(keys).toEqual(Array.from({ length: 25 }, (_, i) => `${prefix}${digits(i)}`));
  });

  owes('L2', 'a page says whether more follows', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 20);
    const more: boolean[] = [];
    for await (const page of context.store.list(prefix, { pageSize: 10 })) more.push(page.more);
    expect(more.at(-1)).toBe(false);
    expect(more.slice(0, -1).every(Boolean)).toBe(true);
  });

  owes('L3', 'all pages show one revision, whatever is written between them', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 40);
    const before = await context.revision();
    const values = new Map<string, string>();
    for await (const page of context.store.list(prefix, { pageSize: 8 })) {
      expect(page.revision).toBe(before);
      for (const entry of page.entries) values.set(text(entry.key) ?? '', text(entry.value) ?? '');
      await context.store.put(`${prefix}${digits(39)}`, 'changed');
      await context.store.put(`${prefix}${digits(values.size)}-new`, 'new');
      await context.store.delete(`${prefix}${digits(38)}`);
    }
    expect(values).toEqual(new Map(Array.from({ length: 40 }, (_, i) => [`${prefix}${digits(i)}`, `${i}`])));
  });

  (promises.history ? owes : omitted)('L5', 'a listing can be of an older revision', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 5);
    const revision = await context.revision();
    await context.store.deletePrefix(prefix);
    await context.store.put(`${prefix}later`, 'x');
    const found: KeyValue[] = [];
    for await (const page of context.store.list(prefix, { revision, pageSize: 2 })) found.push(...page.entries);
    expect(found.map((entry) => text(entry.value))).toEqual(['0', '1', '2', '3', '4']);
  });

  owes('L5', 'a listing of a compacted revision is refused as such', async () => {
    const prefix = context.prefix();
    const { revision } = await context.store.put(`${prefix}a`, 'one');
    await context.store.put(`${prefix}a`, 'two');
    const last = await context.store.put(`${prefix}a`, 'three');
    await context.opened.compact(last.revision);
    const listing = async (at: number): Promise<string | undefined> => {
      for await (const page of context.store.list(prefix, { revision: at })) return text(page.entries[0]?.value);
      return undefined;
    };
    await expect(listing(revision)).rejects.toThrow(CompactedError);
    expect(await listing(last.revision)).toBe('three');
  });

  owes('L4', 'an empty prefix means every key', async () => {
    const prefix = context.prefix();
    const odd = promises.keysOfAnyBytes ? new Uint8Array([0xff, 0xff, 1]) : '\u{1f600}';
    await context.store.put(odd, 'end');
    await context.store.put(promises.keysOfAnyBytes ? new Uint8Array([0, 1]) : '!', 'beginning');
    await context.store.put(`${prefix}a`, 'middle');
    const values: (string | undefined)[] = [];
    for await (const page of context.store.list('', { pageSize: 100 }))
      values.push(...page.entries.map((entry) => text(entry.value)));
    expect(values[0]).toBe('beginning');
    expect(values).toContain('middle');
    expect(values.at(-1)).toBe('end');
  });

  (promises.keysOfAnyBytes ? owes : omitted)('L4', 'a prefix may end in 0xff, or be nothing else', async () => {
    const keys = [[0xff], [0xff, 0xff], [0xff, 0xff, 0xff, 7]];
    const base = Buffer.from(context.prefix());
    for (const key of keys) await context.store.put(Buffer.concat([base, Buffer.from(key)]), 'under the base');
    await context.store.put(Buffer.concat([base, Buffer.from([0xfe])]), 'before');
    expect(await names(context, Buffer.concat([base, Buffer.from([0xff])]))).toHaveLength(3);
    for (const key of keys) await context.store.put(Buffer.from(key), 'at the end');
    expect((await names(context, new Uint8Array([0xff, 0xff]))).length).toBeGreaterThanOrEqual(2);
    expect((await context.store.deletePrefix(new Uint8Array([0xff]))).deleted).toBeGreaterThanOrEqual(3);
    expect(await names(context, new Uint8Array([0xff]))).toEqual([]);
    expect(await names(context, base)).toHaveLength(4);
  });

  owes('L2', 'a listing of 2,500 keys in pages of 100 is complete', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 2500);
    const keys = new Set<string>();
    for await (const page of context.store.list(prefix, { pageSize: 100 }))
      for (const entry of page.entries) keys.add(text(entry.key) ?? '');
    expect(keys.size).toBe(2500);
  });

  owes('D3', 'large values are listed whole', async () => {
    const prefix = context.prefix();
    const value = Buffer.alloc(300_000, 'v');
    for (let i = 0; i < 12; i++) await context.store.put(`${prefix}${digits(i)}`, value);
    let bytes = 0;
    for await (const page of context.store.list(prefix)) for (const entry of page.entries) bytes += entry.value.length;
    expect(bytes).toBe(12 * 300_000);
  });

  owes('L6', 'a listing may be left early', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 30);
    for await (const page of context.store.list(prefix, { pageSize: 10 })) {
      expect(page.more).toBe(true);
      break;
    }
    expect(await names(context, prefix)).toHaveLength(30);
  });

  owes('W4', 'deleting a prefix deletes what lies under it, in one revision where it can', async () => {
    const prefix = context.prefix();
    await context.fill(`${prefix}in/`, 10);
    await context.store.put(`${prefix}in`, 'not under it');
    const { revision } = await context.store.put(`${prefix}out`, 'not under it');
    expect(await context.store.deletePrefix(`${prefix}in/`)).toEqual({ revision: context.next(revision), deleted: 10 });
    expect(await names(context, prefix)).toEqual(['in', 'out']);
  });

  if (!promises.prefixDeletedAtOnce)
    owes('W4', 'deleting a prefix of more keys than fit into a transaction deletes all of them', async () => {
      const prefix = context.prefix();
      await context.fill(prefix, 300);
      expect((await context.store.deletePrefix(prefix)).deleted).toBe(300);
      expect(await names(context, prefix)).toEqual([]);
    });

  owes('W4', 'deleting an empty prefix of keys makes no revision', async () => {
    const before = await context.revision();
    expect(await context.store.deletePrefix(context.prefix())).toEqual({ revision: before, deleted: 0 });
  });

  owes('W4', 'deleting with an empty prefix deletes everything', async () => {
    await context.fill(context.prefix(), 5);
    const { deleted } = await context.store.deletePrefix('');
    expect(deleted).toBeGreaterThanOrEqual(5);
    expect(await names(context, '')).toEqual([]);
  });
}

/** What follows the prefix in each key found. */
async function names(context: StoreContext, prefix: string | Uint8Array): Promise<string[]> {
  const found: string[] = [];
  const { length } = Buffer.from(prefix as string);
  for await (const page of context.store.list(prefix))
    for (const entry of page.entries) found.push(Buffer.from(entry.key.subarray(length)).toString('latin1'));
  return found;
}

function latin1(name: string): string {
  return Buffer.from(name).toString('latin1');
}
