import { expect } from '@jest/globals';
import { InvalidRequestError } from '../../../../kvstore/index.ts';
import { type Owes, omitted } from './cases.ts';
import type { StoreContext } from './context.ts';
import { Follower, type SeenBatch } from './follower.ts';
import { eventually, pause } from './waiting.ts';

/** List-and-watch: the listing, then every change once and in order. */
export function watchCases(context: StoreContext, owes: Owes): void {
  const { promises } = context;
  /** A store whose revisions are not dense may have gone on by itself before it was listed. */
  const listed = (revision: number): number => (promises.denseRevisions ? revision : context.next(revision));

  owes('O1', 'an empty prefix of keys begins and is synced', async () => {
    const revision = await context.revision();
    await using follower = await new Follower(context.store, context.prefix()).whenSynced();
    expect(follower.batches).toEqual([
      { type: 'restart', reason: 'start' },
      { type: 'synced', revision: listed(revision) },
    ]);
  });

  owes('O1', 'the listing comes first, then synced, then changes', async () => {
    const prefix = context.prefix();
    const a = await context.store.put(`${prefix}a`, '1');
    const b = await context.store.put(`${prefix}b`, '2');
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const c = await context.store.put(`${prefix}c`, '3');
    await eventually(() => follower.live.length === 1);
    expect(merged(follower.batches)).toEqual([
      { type: 'restart', reason: 'start' },
      {
        type: 'changes',
        revision: listed(b.revision),
        events: [
          { type: 'put', key: `${prefix}a`, value: '1', revision: a.revision, lease: 0n },
          { type: 'put', key: `${prefix}b`, value: '2', revision: b.revision, lease: 0n },
        ],
      },
      { type: 'synced', revision: listed(b.revision) },
      {
        type: 'changes',
        revision: c.revision,
        events: [{ type: 'put', key: `${prefix}c`, value: '3', revision: c.revision, lease: 0n }],
      },
    ]);
  });

  owes('O1', 'a listing comes in batches of the size asked for', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 55);
    await using follower = await new Follower(context.store, prefix, { pageSize: 10 }).whenSynced();
    const sizes = follower.batches.flatMap((batch) => (batch.type === 'changes' ? batch.events.length : []));
    expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
    expect(follower.state.size).toBe(55);
  });

  owes('O2', 'puts and deletes come in the order of their revisions', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const seen = (count: number): Promise<void> | undefined =>
      promises.everyEvent ? undefined : eventually(() => follower.live.length === count);
    const one = await context.store.put(`${prefix}a`, '1');
    await seen(1);
    const two = await context.store.put(`${prefix}a`, '2');
    await seen(2);
    const three = await context.store.delete(`${prefix}a`);
    await eventually(() => follower.live.length === 3);
    expect(follower.live).toEqual([
      { type: 'put', key: `${prefix}a`, value: '1', revision: one.revision, lease: 0n },
      { type: 'put', key: `${prefix}a`, value: '2', revision: two.revision, lease: 0n },
      { type: 'delete', key: `${prefix}a`, revision: three.revision },
    ]);
  });

  owes('O3', 'a put that changes nothing is an event all the same', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}a`, 'same');
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await context.store.put(`${prefix}a`, 'same');
    await eventually(() => follower.live.length === 1);
  });

  owes('O6', 'events outside the prefix do not come', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, `${prefix}in/`).whenSynced();
    await context.store.put(`${prefix}in`, 'no');
    await context.store.put(`${prefix}in0`, 'no');
    await context.store.put(`${prefix}in/a`, 'yes');
    await context.store.put(`${prefix}io/a`, 'no');
    await context.store.put(`${prefix}in/b`, 'yes');
    await eventually(() => follower.live.length >= 2);
    expect(follower.live.map((event) => event.key)).toEqual([`${prefix}in/a`, `${prefix}in/b`]);
  });

  owes('O4', 'a revision is not split between batches', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    for (let round = 0; round < 5; round++) await context.fill(`${prefix}${round}/`, 100);
    await eventually(() => follower.live.length === 500);
    const batchesOf = new Map<number, number>();
    for (const batch of follower.batches)
      if (batch.type === 'changes')
        for (const revision of new Set(batch.events.map((event) => event.revision)))
          batchesOf.set(revision, (batchesOf.get(revision) ?? 0) + 1);
    expect([...batchesOf.values()]).toEqual([1, 1, 1, 1, 1]);
  });

  if (!promises.prefixDeletedAtOnce)
    owes('O4', 'the deletion of a prefix is seen key by key, until none is left', async () => {
      const prefix = context.prefix();
      await context.fill(prefix, 200);
      await using follower = await new Follower(context.store, prefix).whenSynced();
      const { revision } = await context.store.deletePrefix(prefix);
      await eventually(() => follower.live.length === 200);
      expect(follower.live.every((event) => event.type === 'delete' && event.revision <= revision)).toBe(true);
      expect(follower.live.at(-1)?.revision).toBe(revision);
      expect(follower.state.size).toBe(0);
    });

  const atOnce = promises.prefixDeletedAtOnce ? owes : omitted;
  atOnce('O4', 'deleting a prefix is one revision in one batch, in byte order', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 200);
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const { revision } = await context.store.deletePrefix(prefix);
    await eventually(() => follower.live.length === 200);
    const batch = follower.batches.at(-1);
    expect(batch).toMatchObject({ type: 'changes', revision });
    expect(follower.live.every((event) => event.type === 'delete' && event.revision === revision)).toBe(true);
    const keys = follower.live.map((event) => event.key);
    expect(keys).toEqual(keys.toSorted());
    expect(follower.state.size).toBe(0);
  });

  owes('O6', 'an empty prefix follows every key', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, '').whenSynced();
    await context.store.put(`${prefix}a`, 'x');
    const last = promises.keysOfAnyBytes ? new Uint8Array([0xff, 0xff]) : '~~';
    await context.store.put(last, 'x');
    await eventually(() => follower.live.length === 2);
    await context.store.delete(last);
  });

  if (!promises.keysOfAnyBytes)
    owes('O6', 'a prefix that no key can have is refused', async () => {
      const follower = new Follower(context.store, new Uint8Array([0x61, 0xff]));
      await follower.ended();
      expect(follower.error).toBeInstanceOf(InvalidRequestError);
    });

  (promises.keysOfAnyBytes ? owes : omitted)('O6', 'a prefix may end in 0xff', async () => {
    const base = Buffer.concat([Buffer.from(context.prefix()), Buffer.from([0xff])]);
    await using follower = await new Follower(context.store, base).whenSynced();
    await context.store.put(Buffer.concat([base, Buffer.from([0xff, 1])]), 'in');
    await context.store.put(Buffer.concat([base.subarray(0, -1), Buffer.from([0xfe])]), 'out');
    await context.store.put(base, 'in');
    await eventually(() => follower.live.length >= 2);
    expect(follower.live.map((event) => event.value)).toEqual(['in', 'in']);
  });

  if (!promises.everyEvent)
    owes('O3', 'the last change of each key comes, none twice and in order, whenever the watch began', async () => {
      const prefix = context.prefix();
      const last = new Map<string, string>();
      const revisions = new Set<number>();
      const writer = (async () => {
        for (let i = 0; i < 300; i++) {
          const key = `${prefix}${i % 40}`;
          revisions.add((await context.store.put(key, `${i}`)).revision);
          last.set(key, `${i}`);
        }
      })();
      const followers: Follower[] = [];
      for (let i = 0; i < 4; i++) {
        followers.push(new Follower(context.store, prefix, { pageSize: 7 }));
        await pause(5);
      }
      await writer;
      for (const follower of followers) {
        await eventually(() => follower.revision >= Math.max(...revisions));
        const seen = follower.live.map((event) => event.revision);
        expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b));
        expect(seen.every((revision) => revisions.has(revision))).toBe(true);
        expect(follower.state).toEqual(last);
        await follower.stop();
      }
    });

  const eachOnce = promises.everyEvent ? owes : omitted;
  eachOnce('O3', 'every change comes exactly once, whenever the watch began', async () => {
    const prefix = context.prefix();
    const revisions: number[] = [];
    const writer = (async () => {
      for (let i = 0; i < 300; i++) {
        const result = await context.store.put(`${prefix}${i % 40}`, `${i}`);
        revisions.push(result.revision);
      }
    })();
    const followers: Follower[] = [];
    for (let i = 0; i < 4; i++) {
      followers.push(new Follower(context.store, prefix, { pageSize: 7 }));
      await pause(5);
    }
    await writer;
    const last = revisions.at(-1) ?? 0;
    for (const follower of followers) {
      await eventually(() => follower.revision >= last);
      const start = follower.batches.find((batch) => batch.type === 'synced');
      const from = start?.type === 'synced' ? start.revision : 0;
      expect(follower.live.map((event) => event.revision)).toEqual(revisions.filter((revision) => revision > from));
      expect(follower.state.size).toBe(40);
      await follower.stop();
    }
  });

  owes('O2', 'revisions never go back', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    await Promise.all(Array.from({ length: 100 }, (_, i) => context.store.put(`${prefix}${i}`, 'x')));
    await eventually(() => follower.live.length === 100);
    const revisions = follower.batches.flatMap((batch) => (batch.type === 'restart' ? [] : batch.revision));
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
  });

  owes('O2', 'the revision of a batch is at least that of its last event', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    for (let i = 0; i < 10; i++) await context.store.put(`${prefix}${i}`, 'x');
    await eventually(() => follower.live.length === 10);
    for (const batch of follower.batches)
      if (batch.type === 'changes') expect(batch.revision).toBeGreaterThanOrEqual(batch.events.at(-1)?.revision ?? 0);
  });

  owes('O5', 'events carry the lease of their key', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const lease = await context.store.grantLease({ ttlSeconds: 30 });
    await context.store.put(`${prefix}a`, 'x', { lease: lease.id });
    await eventually(() => follower.live.length === 1);
    expect(follower.live[0]?.lease).toBe(lease.id);
    await lease.revoke();
  });

  if (!promises.everyEvent)
    owes('O7', 'a slow reader ends with the right state, in order, and nothing waits for it', async () => {
      const prefix = context.prefix();
      await using follower = await new Follower(context.store, prefix).whenSynced();
      const release = follower.hold();
      for (let round = 0; round < 20; round++) await context.fill(prefix, 100);
      await context.store.delete(`${prefix}0000`);
      release();
      await eventually(() => follower.state.size === 99 && follower.live.length >= 100);
      const puts = follower.live.filter((event) => event.type === 'put');
      // One difference may have been on its way when the reader stopped, the other is all that came after it.
      expect(puts.length).toBeLessThanOrEqual(300);
      const revisions = follower.live.map((event) => event.revision);
      expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    });

  eachOnce('O7', 'a slow reader gets everything in order', async () => {
    const prefix = context.prefix();
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const release = follower.hold();
    const total = 3000;
    for (let from = 0; from < total; from += 100) await context.fill(`${prefix}${from}/`, 100);
    await context.store.deletePrefix(`${prefix}0/`);
    release();
    await eventually(() => follower.live.length === total + 100);
    const revisions = follower.live.map((event) => event.revision);
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(follower.state.size).toBe(total - 100);
  });

  owes('O7', 'a slow reader ends with the right state although history was compacted meanwhile', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}stays`, 'x');
    await context.store.put(`${prefix}goes`, 'x');
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const release = follower.hold();
    for (let from = 0; from < 3000; from += 100) await context.fill(`${prefix}n/${from}/`, 100);
    await context.store.delete(`${prefix}goes`);
    await context.store.deletePrefix(`${prefix}n/`);
    const { revision } = await context.store.put(`${prefix}last`, 'x');
    await context.opened.compact(revision);
    release();
    await eventually(() => follower.revision >= revision && follower.state.size === 2);
    expect([...follower.state.keys()].toSorted()).toEqual([`${prefix}last`, `${prefix}stays`]);
    const restarts = follower.batches.flatMap((batch) => (batch.type === 'restart' ? batch.reason : []));
    expect(restarts.slice(1).every((reason) => reason === 'compacted' || reason === 'too-far-behind')).toBe(true);
  });

  owes('O8', 'an aborted signal ends the iteration without error', async () => {
    const follower = await new Follower(context.store, context.prefix()).whenSynced();
    await follower.stop();
    expect(follower.error).toBeUndefined();
  });

  owes('O8', 'a signal that is aborted already gives nothing', async () => {
    const batches: unknown[] = [];
    const watching = context.store.listAndWatch(context.prefix(), { signal: AbortSignal.abort() });
    for await (const batch of watching) batches.push(batch);
    expect(batches).toEqual([]);
  });

  owes('O8', 'a consumer may leave the loop', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}a`, 'x');
    const types: string[] = [];
    for await (const batch of context.store.listAndWatch(prefix, { signal: new AbortController().signal })) {
      types.push(batch.type);
      if (batch.type === 'synced') break;
    }
    expect(types).toEqual(['restart', 'changes', 'synced']);
  });

  owes('O9', 'many watches run side by side', async () => {
    const prefix = context.prefix();
    const followers = Array.from({ length: 25 }, (_, i) => new Follower(context.store, `${prefix}${i % 5}/`));
    await Promise.all(followers.map((follower) => follower.whenSynced()));
    for (let i = 0; i < 5; i++) await context.store.put(`${prefix}${i}/a`, `${i}`);
    await eventually(() => followers.every((follower) => follower.live.length === 1));
    for (const [i, follower] of followers.entries()) expect(follower.live[0]?.value).toBe(`${i % 5}`);
    await Promise.all(followers.map((follower) => follower.stop()));
  });
}

/** Neighbouring batches of changes as one: how a listing is cut is the store's affair. */
function merged(batches: readonly SeenBatch[]): SeenBatch[] {
  const result: SeenBatch[] = [];
  for (const batch of batches) {
    const last = result.at(-1);
    if (batch.type === 'changes' && last?.type === 'changes')
      result[result.length - 1] = { ...batch, events: [...last.events, ...batch.events] };
    else result.push(batch);
  }
  return result;
}
