import { expect } from '@jest/globals';
import { type Owes, omitted } from './cases.ts';
import { type StoreContext, digits } from './context.ts';
import { Follower } from './follower.ts';
import { again, eventually, pause } from './waiting.ts';

/** What *synced* promises, and the order in which changes come. */
export function watchOrderCases(context: StoreContext, owes: Owes): void {
  const { promises } = context;
  const eachOnce = promises.everyEvent ? owes : omitted;

  owes('O1', 'at synced everything is known that was acknowledged before the watch began', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    for (let i = 0; i < 15; i++) {
      await (i % 2 ? other : context.store).put(prefix + digits(i), `${i}`);
      await using follower = await new Follower(context.store, prefix, { pageSize: 4 }).whenSynced();
      expect(follower.batches.find((batch) => batch.type === 'synced')).toBeDefined();
      expect(follower.state.size).toBe(i + 1);
    }
  });

  owes('O1', 'at synced a large listing is whole, and it is said once', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 2500);
    let known = 0;
    const stopping = new AbortController();
    const sizes: number[] = [];
    for await (const batch of context.store.listAndWatch(prefix, { pageSize: 300, signal: stopping.signal })) {
      if (batch.type === 'changes') known += batch.events.length;
      if (batch.type === 'synced') sizes.push(known);
      if (sizes.length > 0) break;
    }
    expect(sizes).toEqual([2500]);
  });

  owes('O1', 'synced comes although others write all the time', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 300);
    await using writer = again((i) => context.store.put(prefix + digits(i % 300), `new ${i}`));
    await using follower = await new Follower(context.store, prefix, { pageSize: 20 }).whenSynced();
    await writer.stop();
    await follower.holds(await context.contents(prefix));
    expect(follower.marks).toEqual(['start', 'synced']);
    expect(follower.removed).toEqual([]);
  });

  owes('O1', 'a key deleted while the listing is read is not there in the end', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 200);
    await using follower = new Follower(context.store, prefix, { pageSize: 5 });
    const release = follower.hold();
    await eventually(() => follower.batches.length > 0);
    await context.store.delete(prefix + digits(199));
    await context.store.delete(prefix + digits(0));
    release();
    await follower.holds(await context.contents(prefix));
    expect(follower.state.size).toBe(198);
  });

  owes('O2', 'the changes of each key come in their order, however many write', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const writers = Array.from({ length: 6 }, async (_, writer) => {
      for (let i = 1; i <= 25; i++) await (writer % 2 ? other : context.store).put(`${prefix}${writer}`, `${i}`);
    });
    await Promise.all(writers);
    await follower.holds(new Map(Array.from({ length: 6 }, (_, writer) => [`${prefix}${writer}`, '25'])));
    for (let writer = 0; writer < 6; writer++) {
      const values = follower.live.flatMap(({ key, value }) => (key === `${prefix}${writer}` ? Number(value) : []));
      expect(values).toEqual([...new Set(values)].toSorted((a, b) => a - b));
    }
  });

  eachOnce('O2', 'all watches of a prefix see one and the same order', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    const followers = await Promise.all(
      [context.store, context.store, other].map((store) => new Follower(store, prefix).whenSynced()),
    );
    await Promise.all(Array.from({ length: 120 }, (_, i) => (i % 2 ? other : context.store).put(`${prefix}${i}`, 'x')));
    await eventually(() => followers.every((follower) => follower.live.length === 120));
    const [first, ...others] = followers.map((follower) => follower.live.map(({ key }) => key));
    for (const order of others) expect(order).toEqual(first);
    await Promise.all(followers.map((follower) => follower.stop()));
  });

  eachOnce('O3', 'a key that came and went at once was there and gone', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    for (let i = 0; i < 10; i++) {
      await context.store.put(`${prefix}${i}`, 'x');
      await context.store.delete(`${prefix}${i}`);
    }
    await eventually(() => follower.live.length === 20);
    expect(follower.live.map(({ type }) => type)).toEqual(Array.from({ length: 10 }, () => ['put', 'delete']).flat());
    expect(follower.state.size).toBe(0);
  });

  if (!promises.everyEvent)
    owes('O3', 'a key that came and went at once is not there in the end, and is never left over', async () => {
      const prefix = context.prefix();
      await using follower = await new Follower(context.store, prefix).whenSynced();
      for (let i = 0; i < 10; i++) {
        await context.store.put(`${prefix}${i}`, 'x');
        await context.store.delete(`${prefix}${i}`);
      }
      await context.store.put(`${prefix}last`, 'x');
      await follower.holds(new Map([[`${prefix}last`, 'x']]));
      const puts = follower.live.filter(({ type }) => type === 'put').length;
      expect(follower.live.length - puts).toBe(puts - 1);
    });

  owes('O3', 'a key that was deleted and came again is seen in its new life', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}a`, 'same');
    const lives: number[] = [];
    const stopping = new AbortController();
    const watching = (async () => {
      for await (const batch of context.store.listAndWatch(prefix, { signal: stopping.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'put') lives.push(event.entry.createRevision);
    })();
    await eventually(() => lives.length === 1);
    await context.store.delete(`${prefix}a`);
    const { revision } = await context.store.put(`${prefix}a`, 'same');
    await eventually(() => lives.at(-1) === revision);
    stopping.abort();
    await watching;
  });

  owes('O3', 'writes of another client come as one’s own do', async () => {
    const prefix = context.prefix();
    await using other = await context.another();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await other.put(`${prefix}a`, '1');
    await other.transact({ when: [], then: [{ type: 'put', key: `${prefix}b`, value: '2' }] });
    await follower.holds(
      new Map([
        [`${prefix}a`, '1'],
        [`${prefix}b`, '2'],
      ]),
    );
    await other.delete(`${prefix}a`);
    await follower.holds(new Map([[`${prefix}b`, '2']]));
  });

  owes('O4', 'the changes of a transaction come in one batch, with one revision', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}gone`, 'x');
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await context.store.transact({
      when: [],
      then: [
        { type: 'put', key: `${prefix}b`, value: '2' },
        { type: 'put', key: `${prefix}a`, value: '1' },
        { type: 'delete', key: `${prefix}gone` },
      ],
    });
    await follower.holds(
      new Map([
        [`${prefix}a`, '1'],
        [`${prefix}b`, '2'],
      ]),
    );
    const batches = follower.batches.slice(follower.batches.findIndex((batch) => batch.type === 'synced') + 1);
    expect(batches).toHaveLength(1);
    if (promises.everyEvent) expect(new Set(follower.live.map((event) => event.revision)).size).toBe(1);
  });

  owes('O5', 'a deletion names its key and its revision, and has no value', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}a`, 'value');
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const { revision } = await context.store.delete(`${prefix}a`);
    await eventually(() => follower.live.length === 1);
    expect(follower.live).toEqual([{ type: 'delete', key: `${prefix}a`, revision }]);
  });

  owes('O5', 'a put tells creation, version and lease as a read does', async () => {
    const prefix = context.prefix();
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(`${prefix}a`, 'one');
    const seen: unknown[] = [];
    const stopping = new AbortController();
    const watching = (async () => {
      for await (const batch of context.store.listAndWatch(prefix, { signal: stopping.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'put') seen.push(plain(event.entry));
    })();
    await eventually(() => seen.length === 1);
    await context.store.put(`${prefix}a`, 'two', { lease: lease.id });
    await eventually(() => seen.length === 2);
    const entry = await context.store.get(`${prefix}a`);
    expect(seen[1]).toEqual(entry && plain(entry));
    stopping.abort();
    await watching;
    await lease.revoke();
  });

  owes('O9', 'watches that come and go do not disturb one that stays', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    for (let i = 0; i < 15; i++) {
      const passing = new Follower(context.store, prefix);
      await context.store.put(prefix + digits(i), `${i}`);
      if (i % 3 === 0) await passing.whenSynced();
      if (i % 3 === 1) await pause(2);
      await passing.stop();
      expect(passing.error).toBeUndefined();
    }
    await follower.holds(await context.contents(prefix));
    expect(follower.marks).toEqual(['start', 'synced']);
    expect(follower.removed).toEqual([]);
  });
}

/** A copy of an entry, whose buffers are only lent. */
function plain(entry: { readonly key: Uint8Array; readonly value: Uint8Array }): unknown {
  return {
    ...entry,
    key: Buffer.from(entry.key).toString('latin1'),
    value: Buffer.from(entry.value).toString('latin1'),
  };
}
