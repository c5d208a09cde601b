import { expect } from '@jest/globals';
import { type Owes, omitted } from './cases.ts';
import { type StoreContext, text } from './context.ts';
import { Follower } from './follower.ts';
import { eventually, pause } from './waiting.ts';

/** What outlives the process behind the store; for stores that keep anything. */
export function restartCases(context: StoreContext, owes: Owes, patiently: Owes): void {
  const { promises } = context;
  const withHistory = promises.history ? owes : omitted;

  if (!promises.history)
    owes('F1', 'after a restart everything acknowledged is there', async () => {
      const prefix = context.prefix();
      const first = await context.store.put(`${prefix}a`, 'one');
      const second = await context.store.put(`${prefix}a`, 'two');
      await context.store.put(`${prefix}b`, 'gone');
      await context.store.delete(`${prefix}b`);
      await context.restart();
      expect(await context.store.get(`${prefix}a`)).toMatchObject({
        createRevision: first.revision,
        modRevision: second.revision,
      });
      expect(await context.store.get(`${prefix}b`)).toBeUndefined();
    });

  withHistory('F1', 'after a restart everything acknowledged is there, history too', async () => {
    const prefix = context.prefix();
    const first = await context.store.put(`${prefix}a`, 'one');
    const second = await context.store.put(`${prefix}a`, 'two');
    await context.store.put(`${prefix}b`, 'gone');
    const last = await context.store.delete(`${prefix}b`);
    await context.restart();
    expect(await context.store.get(`${prefix}a`)).toMatchObject({
      createRevision: first.revision,
      modRevision: second.revision,
      version: 2,
    });
    expect(text((await context.store.get(`${prefix}a`, { revision: first.revision }))?.value)).toBe('one');
    expect(await context.store.get(`${prefix}b`)).toBeUndefined();
    expect(text((await context.store.get(`${prefix}b`, { revision: last.revision - 1 }))?.value)).toBe('gone');
    expect(await context.revision()).toBe(last.revision);
  });

  owes('R3', 'revisions go on after a restart', async () => {
    const key = `${context.prefix()}a`;
    const before = await context.store.put(key, 'x');
    await context.restart();
    const { revision } = await context.store.put(key, 'y');
    expect(revision).toBeGreaterThan(before.revision);
    expect(revision).toEqual(context.next(before.revision));
  });

  owes('F1', 'a store keeps its id across a restart', async () => {
    await context.store.put(`${context.prefix()}a`, 'x');
    const { storeId } = context.store.health();
    await context.restart();
    await context.revision();
    expect(storeId).toBeDefined();
    expect(context.store.health().storeId).toBe(storeId);
  });

  patiently('E7', 'leases outlive a restart with their keys, and still end, never before their time', async () => {
    const prefix = context.prefix();
    const asked = performance.now();
    const lease = await context.store.grantLease({ ttlSeconds: 4 });
    await context.store.put(`${prefix}leased`, 'x', { lease: lease.id });
    await context.store.put(`${prefix}free`, 'x');
    await lease[Symbol.asyncDispose]();
    await context.restart();
    const entry = await context.store.get(`${prefix}leased`);
    // On a slow machine its time may be over already.
    if (performance.now() - asked < lease.ttlSeconds * 1000) expect(entry?.lease).toBe(lease.id);
    // A store may let twice the time pass, and count it anew after each change of leadership.
    await eventually(async () => (await context.store.get(`${prefix}leased`)) === undefined);
    expect(performance.now() - asked).toBeGreaterThanOrEqual(lease.ttlSeconds * 1000);
    expect(await context.store.get(`${prefix}free`)).toBeDefined();
  });

  owes('F1', 'after a restart a transaction is there whole', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 100);
    const lease = await context.store.grantLease({ ttlSeconds: 60 });
    await context.store.transact({
      when: [],
      then: [
        { type: 'delete', key: `${prefix}0000` },
        { type: 'put', key: `${prefix}0001`, value: 'changed' },
        { type: 'put', key: `${prefix}new`, value: 'leased', lease: lease.id },
      ],
    });
    const before = await context.entries(prefix);
    await context.restart();
    expect(await context.entries(prefix)).toEqual(before);
    await context.opened.revokeLease(lease.id);
  });

  owes(
    'F1',
    'writes under way when it ends are there whole or not at all, and every acknowledged one is there',
    async () => {
      const prefix = context.prefix();
      const acknowledged = new Set<number>();
      const ending = new AbortController();
      const store = context.store;
      const writers = Array.from({ length: 4 }, async (_, writer) => {
        for (let i = writer; !ending.signal.aborted && i < 4000; i += 4) {
          const then = ['a', 'b'].map(
            (half) => ({ type: 'put', key: `${prefix}${half}/${i}`, value: `${i}` }) as const,
          );
          try {
            await store.transact({ when: [], then });
            acknowledged.add(i);
          } catch {
            return;
          }
        }
      });
      await eventually(() => acknowledged.size > 20);
      const restarting = context.restart();
      await Promise.race([restarting, pause(50)]);
      ending.abort();
      await restarting;
      await Promise.all(writers);
      const [a, b] = [await context.contents(`${prefix}a/`), await context.contents(`${prefix}b/`)];
      expect([...a.values()].toSorted()).toEqual([...b.values()].toSorted());
      for (const i of acknowledged) expect(a.get(`${prefix}a/${i}`)).toBe(`${i}`);
    },
  );

  withHistory('R4', 'a compaction outlives a restart', async () => {
    const key = `${context.prefix()}a`;
    const first = await context.store.put(key, 'one');
    const second = await context.store.put(key, 'two');
    await context.opened.compact(second.revision);
    await context.restart();
    await expect(context.store.get(key, { revision: first.revision })).rejects.toThrow(/compacted/);
    expect(text((await context.store.get(key, { revision: second.revision }))?.value)).toBe('two');
  });
}

/** Only for stores that go on by themselves while the process behind them restarts. */
export function resumeCases(context: StoreContext, owes: Owes): void {
  const { promises } = context;
  if (!promises.everyEvent)
    owes('F2', 'a watch goes on across a restart with the last change of each key', async () => {
      const prefix = context.prefix();
      await context.store.put(`${prefix}before`, 'x');
      await using follower = await new Follower(context.store, prefix).whenSynced();
      const written = new Set<number>();
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 20; i++) written.add((await context.store.put(`${prefix}${i}`, `${round}`)).revision);
        await context.restart();
      }
      await context.store.delete(`${prefix}before`);
      await eventually(
        () => follower.state.size === 20 && [...follower.state.values()].every((value) => value === '2'),
      );
      const puts = follower.live.flatMap((event) => (event.type === 'put' ? [event.revision] : []));
      expect(puts).toEqual([...new Set(puts)].toSorted((a, b) => a - b));
      expect(puts.every((revision) => written.has(revision))).toBe(true);
      expect(follower.batches.filter((batch) => batch.type === 'restart')).toHaveLength(1);
    });

  (promises.everyEvent ? owes : omitted)(
    'F2',
    'a watch goes on across a restart, each change exactly once',
    async () => {
      const prefix = context.prefix();
      await context.store.put(`${prefix}before`, 'x');
      await using follower = await new Follower(context.store, prefix).whenSynced();
      const revisions: number[] = [];
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 20; i++) revisions.push((await context.store.put(`${prefix}${i}`, `${round}`)).revision);
        await context.restart();
      }
      revisions.push((await context.store.delete(`${prefix}before`)).revision);
      await eventually(() => follower.live.at(-1)?.revision === revisions.at(-1));
      expect(follower.live.map((event) => event.revision)).toEqual(revisions);
      expect(follower.batches.filter((batch) => batch.type === 'restart')).toHaveLength(1);
    },
  );

  owes('E7', 'a lease goes on across a restart', async () => {
    const key = `${context.prefix()}a`;
    const asked = performance.now();
    await using lease = await context.store.grantLease({ ttlSeconds: 5 });
    await context.store.put(key, 'x', { lease: lease.id });
    await context.restart();
    // What would have been its end without a renewal, had the restart begun its time anew.
    const end = performance.now() + lease.ttlSeconds * 1000;
    if (context.promises.endsOnTime) await pause(end - performance.now());
    else await pause(Math.max(0, asked + lease.ttlSeconds * 1000 - performance.now()));
    expect(await context.store.get(key)).toBeDefined();
    expect(lease.lost.aborted).toBe(false);
    await lease.revoke();
  });

  owes('X7', 'a lock is held across a restart: nobody else gets it meanwhile', async () => {
    const prefix = context.prefix();
    const lock = await context.store.lock(`${prefix}lock`);
    let taken = false;
    const next = context.store.lock(`${prefix}lock`).then((second) => {
      taken = true;
      return second;
    });
    next.catch(() => undefined);
    await eventually(async () => (await context.entries(`${prefix}lock/`)).length === 2);
    await context.restart();
    const write = { when: [lock.fence()], then: [{ type: 'put', key: `${prefix}a`, value: 'x' } as const] };
    expect((await context.store.transact(write)).succeeded).toBe(true);
    expect(taken).toBe(false);
    await lock.release();
    await (await next).release();
  });

  owes('F2', 'a reader that stood still across a restart ends with the right state', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 100);
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const release = follower.hold();
    await context.store.delete(`${prefix}0000`);
    await context.restart();
    await context.fill(`${prefix}new/`, 100);
    release();
    await follower.holds(await context.contents(prefix));
    expect(follower.removed).toEqual([`${prefix}0000`]);
  });
}
