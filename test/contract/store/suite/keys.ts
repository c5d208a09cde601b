import { expect } from '@jest/globals';
import { CompactedError, FutureRevisionError, InvalidRequestError } from '../../../../kvstore/index.ts';
import { type Owes, omitted } from './cases.ts';
import { type StoreContext, text } from './context.ts';

/** Single keys: get, put, delete, revisions. */
export function keyCases(context: StoreContext, owes: Owes): void {
  owes('W3', 'an absent key is undefined', async () => {
    expect(await context.store.get(`${context.prefix()}none`)).toBeUndefined();
  });

  owes('R2', 'a new key has version 1 and was created by the revision that its put gave back', async () => {
    const key = `${context.prefix()}a`;
    const { revision } = await context.store.put(key, 'one');
    expect(await context.store.get(key)).toEqual({
      key: new Uint8Array(Buffer.from(key)),
      value: new Uint8Array(Buffer.from('one')),
      createRevision: revision,
      modRevision: revision,
      version: 1,
      lease: 0n,
    });
  });

  owes('R2', 'a second put keeps the create revision and counts the version up', async () => {
    const key = `${context.prefix()}a`;
    const first = await context.store.put(key, 'one');
    const second = await context.store.put(key, 'two');
    const entry = await context.store.get(key);
    expect(text(entry?.value)).toBe('two');
    expect(entry).toMatchObject({ createRevision: first.revision, modRevision: second.revision, version: 2 });
  });

  const { promises } = context;

  owes('R1', 'each put makes the next revision, even if nothing changes', async () => {
    const key = `${context.prefix()}a`;
    const first = await context.store.put(key, 'same');
    const second = await context.store.put(key, 'same');
    expect(second.revision).toBeGreaterThan(first.revision);
    expect(second.revision).toEqual(context.next(first.revision));
  });

  owes('R1', 'a read makes no revision', async () => {
    const before = await context.revision();
    await context.store.get(`${context.prefix()}none`);
    expect(await context.revision()).toBe(before);
  });

  owes('D2', 'a value may be empty', async () => {
    const key = `${context.prefix()}empty`;
    await context.store.put(key, '');
    expect((await context.store.get(key))?.value).toEqual(new Uint8Array(0));
  });

  owes('D1', 'keys and values may hold any bytes', async () => {
    const odd = promises.keysOfAnyBytes ? [0, 255, 1, 254, 0] : Buffer.from('%2f?&<>"\\~');
    const key = new Uint8Array([...Buffer.from(context.prefix()), ...odd]);
    const value = Uint8Array.from({ length: 256 }, (_, i) => i);
    await context.store.put(key, value);
    const entry = await context.store.get(key);
    expect([...(entry?.key ?? [])]).toEqual([...key]);
    expect([...(entry?.value ?? [])]).toEqual([...value]);
  });

  if (!promises.keysOfAnyBytes)
    for (const { what, key } of [
      { what: 'bytes that are no UTF-8', key: new Uint8Array([0x61, 0xff]) },
      { what: 'a zero byte', key: 'a\u0000b' },
      { what: 'an empty path element', key: 'a//b' },
      { what: 'a path element of two dots', key: 'a/../b' },
    ])
      owes('D4', `a key that this store cannot hold is refused: ${what}`, async () => {
        const prefix = Buffer.from(context.prefix());
        const whole = Buffer.concat([prefix, Buffer.from(key as string)]);
        await expect(context.store.put(whole, 'x')).rejects.toThrow(InvalidRequestError);
        await expect(context.store.get(whole)).rejects.toThrow(InvalidRequestError);
        expect((await context.store.deletePrefix(prefix)).deleted).toBe(0);
      });

  owes('D1', 'text means UTF-8', async () => {
    const key = `${context.prefix()}Größe/日本`;
    await context.store.put(key, 'naïve');
    const entry = await context.store.get(new TextEncoder().encode(key));
    expect(new TextDecoder().decode(entry?.value)).toBe('naïve');
  });

  owes('D5', 'the caller may use its buffers again at once', async () => {
    const key = Buffer.from(`${context.prefix()}a`);
    const name = key.toString();
    const value = Buffer.from('before');
    const writing = context.store.put(key, value);
    await writing;
    value.fill(0x78);
    key.fill(0x78);
    expect(text((await context.store.get(name))?.value)).toBe('before');
  });

  owes('D3', 'a value of the largest size comes back whole', async () => {
    const key = `${context.prefix()}large`;
    const value = Buffer.alloc(promises.maxValueBytes, 'isthmus ');
    await context.store.put(key, value);
    expect(Buffer.compare((await context.store.get(key))?.value ?? Buffer.alloc(0), value)).toBe(0);
  });

  owes('D3', 'a value beyond the limit of a request is refused and changes nothing', async () => {
    const key = `${context.prefix()}huge`;
    const before = await context.revision();
    await expect(context.store.put(key, Buffer.alloc(1.6 * 1024 * 1024))).rejects.toThrow(InvalidRequestError);
    expect(await context.revision()).toBe(before);
  });

  owes('D4', 'an empty key is refused', async () => {
    await expect(context.store.put('', 'x')).rejects.toThrow(InvalidRequestError);
    await expect(context.store.get('')).rejects.toThrow(InvalidRequestError);
    await expect(context.store.delete('')).rejects.toThrow(InvalidRequestError);
  });

  owes('D4', 'a key of 1,978 bytes is kept', async () => {
    const key = context.prefix().padEnd(1978, 'k');
    await context.store.put(key, 'long');
    expect(text((await context.store.get(key))?.value)).toBe('long');
    const found: number[] = [];
    for await (const page of context.store.list(key.slice(0, 100), { pageSize: 1 })) found.push(page.entries.length);
    expect(found).toEqual([1]);
  });

  owes('R4', 'a revision can be read as long as nothing has changed since', async () => {
    const key = `${context.prefix()}a`;
    const { revision } = await context.store.put(key, 'one');
    expect(text((await context.store.get(key, { revision }))?.value)).toBe('one');
    await context.store.put(`${key}/other`, 'x');
    expect(text((await context.store.get(key, { revision }))?.value)).toBe('one');
    if (promises.history) return;
    await context.store.put(key, 'two');
    await expect(context.store.get(key, { revision })).rejects.toThrow(CompactedError);
  });

  const withHistory = promises.history ? owes : omitted;
  withHistory('R4', 'an older revision can be read while history has it', async () => {
    const key = `${context.prefix()}a`;
    const first = await context.store.put(key, 'one');
    const second = await context.store.put(key, 'two');
    const third = await context.store.delete(key);
    const at = async (revision: number): Promise<string | undefined> =>
      text((await context.store.get(key, { revision }))?.value);
    expect(await at(first.revision - 1)).toBeUndefined();
    expect(await at(first.revision)).toBe('one');
    expect(await at(second.revision)).toBe('two');
    expect(await at(third.revision)).toBeUndefined();
  });

  owes('R4', 'a future revision is refused', async () => {
    const revision = (await context.revision()) + 1000;
    await expect(context.store.get(`${context.prefix()}a`, { revision })).rejects.toThrow(FutureRevisionError);
  });

  owes('W3', 'a delete says whether there was a key', async () => {
    const key = `${context.prefix()}a`;
    const { revision } = await context.store.put(key, 'x');
    expect(await context.store.delete(key)).toEqual({ revision: context.next(revision), deleted: true });
    expect(await context.store.get(key)).toBeUndefined();
  });

  owes('W3', 'deleting an absent key makes no revision', async () => {
    const before = await context.revision();
    expect(await context.store.delete(`${context.prefix()}none`)).toEqual({ revision: before, deleted: false });
    expect(await context.revision()).toBe(before);
  });

  owes('R2', 'a key that comes again begins a new life', async () => {
    const key = `${context.prefix()}a`;
    await context.store.put(key, 'one');
    await context.store.put(key, 'two');
    await context.store.delete(key);
    const { revision } = await context.store.put(key, 'three');
    expect(await context.store.get(key)).toMatchObject({ createRevision: revision, modRevision: revision, version: 1 });
  });

  withHistory('R4', 'many lives of a key can all be read at their revisions', async () => {
    const key = `${context.prefix()}a`;
    const lives: { readonly revision: number; readonly value: string | undefined }[] = [];
    for (let i = 0; i < 20; i++) {
      const { revision } = i % 3 === 2 ? await context.store.delete(key) : await context.store.put(key, `v${i}`);
      lives.push({ revision, value: i % 3 === 2 ? undefined : `v${i}` });
    }
    for (const { revision, value } of lives)
      expect(text((await context.store.get(key, { revision }))?.value)).toBe(value);
  });

  owes('W2', 'writes at the same time all take effect, each in a revision of its own', async () => {
    const prefix = context.prefix();
    const before = await context.revision();
    const results = await Promise.all(Array.from({ length: 50 }, (_, i) => context.store.put(`${prefix}${i}`, `${i}`)));
    const revisions = results.map(({ revision }) => revision).sort((a, b) => a - b);
    if (promises.denseRevisions) expect(revisions).toEqual(Array.from({ length: 50 }, (_, i) => before + 1 + i));
    else {
      expect(new Set(revisions).size).toBe(50);
      expect(revisions[0]).toBeGreaterThan(before);
    }
  });

  owes('W2', 'writes at the same time on one key leave the value of the highest revision', async () => {
    const key = `${context.prefix()}a`;
    const results = await Promise.all(Array.from({ length: 20 }, (_, i) => context.store.put(key, `${i}`)));
    const last = results.map(({ revision }, i) => ({ revision, i })).sort((a, b) => b.revision - a.revision)[0];
    const entry = await context.store.get(key);
    expect(text(entry?.value)).toBe(`${last?.i}`);
    expect(entry?.version).toBe(promises.countsVersions ? 20 : 2);
  });
}
