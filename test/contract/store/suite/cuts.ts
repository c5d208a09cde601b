import { expect } from '@jest/globals';
import { KvStoreError, LeaseNotFoundError, UnavailableError } from '../../../../kvstore/index.ts';
import { type Owes, omitted } from './cases.ts';
import { type StoreContext, digits, insist, text } from './context.ts';
import { Follower } from './follower.ts';
import { eventually, pause } from './waiting.ts';

/** Connections that break, at any moment, and that hang: nothing is lost, doubled or wrongly removed. */
export function cutCases(context: StoreContext, owes: Owes, patiently: Owes): void {
  const { promises } = context;
  const eachOnce = promises.everyEvent ? owes : omitted;

  eachOnce('F3', 'cut again and again while others write, a watch sees each change once and in order', async () => {
    const prefix = context.prefix();
    await using line = await context.breakable();
    await using follower = await new Follower(line.store, prefix).whenSynced();
    const revisions: number[] = [];
    for (let round = 0; round < 12; round++) {
      for (let i = 0; i < 15; i++) revisions.push((await context.store.put(prefix + digits(i), `${round}`)).revision);
      if (round % 2) line.cut();
      else line.cutAtByte(200 + round * 150);
    }
    await eventually(() => follower.live.at(-1)?.revision === revisions.at(-1));
    expect(follower.live.map((event) => event.revision)).toEqual(revisions);
    expect(follower.marks).toEqual(['start', 'synced']);
  });

  owes(
    'F3',
    'cut again and again while others write, a watch ends with the right state and has removed nothing',
    async () => {
      const prefix = context.prefix();
      await context.fill(prefix, 100);
      await using line = await context.breakable();
      await using follower = await new Follower(line.store, prefix).whenSynced();
      for (let round = 0; round < 12; round++) {
        for (let i = 0; i < 5; i++) await context.store.put(prefix + digits(i * 20), `${round}`);
        if (round % 3 === 0) line.cutAtByte(round * 100);
        else line.cut();
        await pause(round * 3);
      }
      await follower.holds(await context.contents(prefix));
      expect(follower.removed).toEqual([]);
    },
  );

  owes('F3', 'cut in the middle of its listing, a watch is synced only when it knows all', async () => {
    const prefix = context.prefix();
    const padding = 'x'.repeat(300);
    for (let i = 0; i < 5; i++)
      await context.store.transact({
        when: [],
        then: Array.from({ length: 100 }, (_, at) => ({
          type: 'put',
          key: prefix + digits(i * 100 + at),
          value: padding,
        })),
      });
    for (const bytes of [100, 20_000, 90_000]) {
      await using line = await context.breakable();
      line.cutAtByte(bytes);
      await using follower = await new Follower(line.store, prefix, { pageSize: 50 }).whenSynced();
      expect(follower.state.size).toBe(500);
    }
  });

  owes('F3', 'cut off for a while, a watch keeps what it knows, and then hears what was deleted', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 50);
    await using line = await context.breakable();
    await using follower = await new Follower(line.store, prefix).whenSynced();
    await line.cutOff();
    await context.store.delete(prefix + digits(7));
    await context.store.put(prefix + digits(8), 'changed');
    await eventually(() => !line.store.health().connected);
    expect(follower.state.size).toBe(50);
    expect(line.store.health().error).toBeDefined();
    await line.mend();
    await follower.holds(await context.contents(prefix));
    expect(follower.removed).toEqual([prefix + digits(7)]);
    await eventually(() => line.store.health().connected);
  });

  owes('F4', 'cut off while history is compacted, a watch finds out what was deleted', async () => {
    const prefix = context.prefix();
    await context.fill(prefix, 60);
    await using line = await context.breakable();
    await using follower = await new Follower(line.store, prefix).whenSynced();
    await line.cutOff();
    for (let i = 0; i < 20; i++) await context.store.delete(prefix + digits(i));
    const { revision } = await context.store.put(`${prefix}last`, 'x');
    await context.opened.compact(revision);
    await line.mend();
    await follower.holds(await context.contents(prefix));
    expect(follower.removed.toSorted()).toEqual(Array.from({ length: 20 }, (_, i) => prefix + digits(i)));
    expect(follower.marks).toEqual(promises.history ? ['start', 'synced', 'compacted', 'synced'] : ['start', 'synced']);
  });

  owes(
    'F3',
    'a read over a line that is cut again and again gives the right answer or says that it failed',
    async () => {
      const prefix = context.prefix();
      await context.fill(prefix, 200);
      await using line = await context.breakable();
      let right = 0;
      for (let round = 0; right < 5 && round < 60; round++) {
        line.cutAtByte(round * 400);
        try {
          expect((await context.contents(prefix, line.store)).size).toBe(200);
          expect(text((await line.store.get(prefix + digits(3)))?.value)).toBe('3');
          right += 1;
        } catch (error) {
          if (!(error instanceof KvStoreError)) throw error;
          expect(error.retry).toBe('again');
        }
      }
      expect(right).toBe(5);
    },
  );

  owes('F3', 'a write over a line that is cut took place or did not, and an acknowledged one did', async () => {
    const prefix = context.prefix();
    await using line = await context.breakable();
    for (let round = 0; round < 12; round++) {
      const key = prefix + digits(round);
      line.cutAtByte(round * 40);
      const written = await line.store.put(key, 'x').then(
        ({ revision }) => revision,
        (error: unknown) => {
          if (!(error instanceof KvStoreError) || error.retry !== 'again') throw error;
          return undefined;
        },
      );
      const entry = await context.store.get(key);
      if (written !== undefined) expect(entry?.modRevision).toBe(written);
      // It was not repeated behind the back of the caller.
      if (entry) expect(entry.version).toBe(1);
    }
    await insist(line.store, `${prefix}last`, 'x');
    expect(await context.store.get(`${prefix}last`)).toBeDefined();
  });

  owes('F8', 'a call over a line that hangs fails in time and says that it may be tried again', async () => {
    const prefix = context.prefix();
    await using line = await context.breakable();
    await line.store.put(`${prefix}a`, 'x');
    await using follower = await new Follower(line.store, prefix).whenSynced();
    await line.hang();
    await Promise.all([
      expect(line.store.get(`${prefix}a`)).rejects.toThrow(UnavailableError),
      expect(line.store.put(`${prefix}a`, 'y')).rejects.toThrow(UnavailableError),
    ]);
    expect(follower.state.size).toBe(1);
    await context.store.put(`${prefix}b`, 'x');
    await line.mend();
    await eventually(() => follower.state.has(`${prefix}b`));
    expect(follower.removed).toEqual([]);
  });

  patiently('E6', 'an owner that hears nothing for the whole time of its lease is told, and not before', async () => {
    const prefix = context.prefix();
    await using line = await context.breakable();
    const asked = performance.now();
    const lease = await line.store.grantLease({ ttlSeconds: 4 });
    await line.store.put(`${prefix}a`, 'x', { lease: lease.id });
    await line.hang();
    await eventually(() => lease.lost.aborted);
    expect(performance.now() - asked).toBeGreaterThanOrEqual(lease.ttlSeconds * 1000);
    expect(lease.lost.reason).toBeInstanceOf(LeaseNotFoundError);
    // It was told no later than the store lets the keys go: nobody else can have taken them while it believed in them.
    expect(await context.store.get(`${prefix}a`).then((entry) => entry?.lease ?? lease.id)).toBe(lease.id);
    await line.mend();
  });

  patiently('E7', 'a lease outlives cuts as long as a renewal passes in time', async () => {
    const key = `${context.prefix()}a`;
    await using line = await context.breakable();
    const asked = performance.now();
    const lease = await line.store.grantLease({ ttlSeconds: 6 });
    await context.store.put(key, 'x', { lease: lease.id });
    const longMs = lease.ttlSeconds * (promises.endsOnTime ? 1300 : 2200);
    while (performance.now() - asked < longMs) {
      line.cut();
      await pause(200);
    }
    expect(lease.lost.aborted).toBe(false);
    expect((await context.store.get(key))?.lease).toBe(lease.id);
    await lease.revoke();
    expect(await context.store.get(key)).toBeUndefined();
  });

  patiently('E8', 'a lease whose renewal hangs can be left, and nobody is told', async () => {
    await using line = await context.breakable();
    const lease = await line.store.grantLease({ ttlSeconds: 6 });
    await line.hang();
    // A renewal is under way by now, and gets no answer.
    await pause(lease.ttlSeconds * 400);
    await lease[Symbol.asyncDispose]();
    expect(lease.lost.aborted).toBe(false);
    await line.mend();
    await context.opened.revokeLease(lease.id);
  });
}
