import { expect } from '@jest/globals';
import { InvalidRequestError, type Operation } from '../../../../kvstore/index.ts';
import type { Owes } from './cases.ts';
import { type StoreContext, text } from './context.ts';
import { Follower } from './follower.ts';
import { eventually } from './waiting.ts';

/** Empty, binary and large values, wherever they pass. */
export function valueCases(context: StoreContext, owes: Owes): void {
  const every = Uint8Array.from({ length: 256 }, (_, i) => i);

  owes('D1', 'any bytes come back from a listing, a transaction and a watch', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await context.store.transact({ when: [], then: [{ type: 'put', key: `${prefix}a`, value: every }] });
    const whole = Buffer.from(every).toString('latin1');
    expect(await context.contents(prefix)).toEqual(new Map([[`${prefix}a`, whole]]));
    const { results } = await context.store.transact({
      when: [{ key: `${prefix}a`, target: 'value', result: 'equal', value: every }],
      then: [{ type: 'get', key: `${prefix}a` }],
    });
    expect(results[0]?.type === 'get' && text(results[0].entry?.value)).toBe(whole);
    await follower.holds(new Map([[`${prefix}a`, whole]]));
  });

  owes('D1', 'keys that differ in one bit, in case or by a byte at the end are different keys', async () => {
    const prefix = context.prefix();
    const names = ['a', 'A', 'a ', 'ab', 'a/b', 'a\u0301', 'á', 'b'].filter((name) => name !== 'a ' || anyKeys());
    for (const name of names) await context.store.put(prefix + name, name);
    expect(await context.entries(prefix)).toHaveLength(names.length);
    for (const name of names)
      expect(new TextDecoder().decode((await context.store.get(prefix + name))?.value)).toBe(name);
  });

  owes('D2', 'an empty value is a value: in a listing, a transaction and a watch', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await context.store.put(`${prefix}a`, 'x');
    await context.store.put(`${prefix}a`, '');
    expect(await context.contents(prefix)).toEqual(new Map([[`${prefix}a`, '']]));
    const { succeeded, results } = await context.store.transact({
      when: [{ key: `${prefix}a`, target: 'value', result: 'equal', value: '' }],
      then: [{ type: 'get', key: `${prefix}a` }],
    });
    expect(succeeded).toBe(true);
    expect(results[0]?.type === 'get' && results[0].entry?.value).toEqual(new Uint8Array(0));
    await follower.holds(new Map([[`${prefix}a`, '']]));
    expect(follower.live.every((event) => event.type === 'put')).toBe(true);
  });

  owes('D3', 'a large value comes whole through a watch, in its listing and live', async () => {
    const prefix = context.prefix();
    const value = (letter: string): string => letter.repeat(context.promises.maxValueBytes - 10);
    await context.store.put(`${prefix}a`, value('a'));
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await context.store.put(`${prefix}b`, value('b'));
    await follower.holds(
      new Map([
        [`${prefix}a`, value('a')],
        [`${prefix}b`, value('b')],
      ]),
    );
  });

  owes('D3', 'a large value that is written over leaves nothing of itself', async () => {
    const key = `${context.prefix()}a`;
    await context.store.put(key, Buffer.alloc(context.promises.maxValueBytes, 'x'));
    await context.store.put(key, 'small');
    expect(text((await context.store.get(key))?.value)).toBe('small');
  });

  owes('D3', 'a transaction beyond the limit of a request is refused and changes nothing', async () => {
    const prefix = context.prefix();
    const then = Array.from({ length: 8 }, (_, i): Operation => ({
      type: 'put',
      key: `${prefix}${i}`,
      value: Buffer.alloc(300_000, 'x'),
    }));
    const before = await context.revision();
    await expect(context.store.transact({ when: [], then })).rejects.toThrow(InvalidRequestError);
    expect(await context.revision()).toBe(before);
    expect(await context.entries(prefix)).toEqual([]);
  });

  owes('D5', 'buffers that a listing or a watch handed out may be kept until the next batch is asked for', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 50);
    for await (const page of context.store.list(prefix, { pageSize: 10 })) {
      // Others may read meanwhile: what this caller was given must not change under its hands.
      const before = page.entries.map((entry) => `${text(entry.key)}=${text(entry.value)}`);
      await context.contents(prefix);
      expect(page.entries.map((entry) => `${text(entry.key)}=${text(entry.value)}`)).toEqual(before);
    }
  });

  owes('D1', 'many clients may write any bytes at the same time and none gets those of another', async () => {
    const prefix = context.prefix();
    const value = (i: number): Uint8Array => Uint8Array.from({ length: 2000 }, (_, at) => (at * 7 + i * 13) % 256);
    await using other = await context.another();
    await Promise.all(
      Array.from({ length: 40 }, (_, i) => (i % 2 ? other : context.store).put(`${prefix}${i}`, value(i))),
    );
    await using follower = await new Follower(other, prefix).whenSynced();
    await eventually(() => follower.state.size === 40);
    for (let i = 0; i < 40; i++) {
      const whole = Buffer.from(value(i)).toString('latin1');
      expect(text((await context.store.get(`${prefix}${i}`))?.value)).toBe(whole);
      expect(follower.state.get(`${prefix}${i}`)).toBe(whole);
    }
  });

  function anyKeys(): boolean {
    return context.promises.keysOfAnyBytes;
  }
}
