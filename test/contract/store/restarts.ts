import { expect, test } from '@jest/globals';
import { Follower, type StoreContext, eventually, omitted, text } from './fixture.ts';

/** What outlives the process behind the store; for stores that keep anything. */
export function restartTests(context: StoreContext): void {
  const { promises } = context;
  const withHistory = promises.history ? test : omitted;

  if (!promises.history)
    test('after a restart everything acknowledged is there', async () => {
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

  withHistory('after a restart everything acknowledged is there, history too', async () => {
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

  test('revisions go on after a restart', async () => {
    const key = `${context.prefix()}a`;
    const before = await context.store.put(key, 'x');
    await context.restart();
    const { revision } = await context.store.put(key, 'y');
    expect(revision).toBeGreaterThan(before.revision);
    expect(revision).toEqual(context.next(before.revision));
  });

  test('a store keeps its id across a restart', async () => {
    await context.store.put(`${context.prefix()}a`, 'x');
    const { storeId } = context.store.health();
    await context.restart();
    await context.revision();
    expect(storeId).toBeDefined();
    expect(context.store.health().storeId).toBe(storeId);
  });

  test('leases outlive a restart with their keys, and still end', async () => {
    const prefix = context.prefix();
    const lease = await context.store.grantLease({ ttlSeconds: 2 });
    await context.store.put(`${prefix}leased`, 'x', { lease: lease.id });
    await context.store.put(`${prefix}free`, 'x');
    await lease[Symbol.asyncDispose]();
    await context.restart();
    expect((await context.store.get(`${prefix}leased`))?.lease).toBe(lease.id);
    // A store may let twice the time pass, and count it anew after a restart.
    const mostMs = Math.max(20_000, lease.ttlSeconds * 4000);
    await eventually(async () => (await context.store.get(`${prefix}leased`)) === undefined, mostMs);
    expect(await context.store.get(`${prefix}free`)).toBeDefined();
  });

  withHistory('a compaction outlives a restart', async () => {
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
export function resumeTests(context: StoreContext): void {
  const { promises } = context;
  if (!promises.everyEvent)
    test('a watch goes on across a restart with the last change of each key', async () => {
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

  (promises.everyEvent ? test : omitted)('a watch goes on across a restart, each change exactly once', async () => {
    const prefix = context.prefix();
    await context.store.put(`${prefix}before`, 'x');
    await using follower = await new Follower(context.store, prefix).whenSynced();
    const revisions: number[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 20; i++) revisions.push((await context.store.put(`${prefix}${i}`, `${round}`)).revision);
      await context.restart();
      await eventually(async () => {
        await context.store.get(`${prefix}before`);
        return true;
      });
    }
    revisions.push((await context.store.delete(`${prefix}before`)).revision);
    await eventually(() => follower.live.at(-1)?.revision === revisions.at(-1));
    expect(follower.live.map((event) => event.revision)).toEqual(revisions);
    expect(follower.batches.filter((batch) => batch.type === 'restart')).toHaveLength(1);
  });

  test('a lease goes on across a restart', async () => {
    const key = `${context.prefix()}a`;
    await using lease = await context.store.grantLease({ ttlSeconds: 5 });
    await context.store.put(key, 'x', { lease: lease.id });
    await context.restart();
    await new Promise((resolve) => setTimeout(resolve, 7000));
    expect(await context.store.get(key)).toBeDefined();
    expect(lease.lost.aborted).toBe(false);
    await lease.revoke();
  });
}
