import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { type ConsulStore, InvalidRequestError, SyncStore } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { createLogger, silentLogger } from '../../../../runtime/log/index.ts';
import { type ConsulProcess, startConsul } from '../../../support/consul.ts';
import { needs } from '../../../support/probe.ts';
import { clientOf } from './support.ts';

jest.setTimeout(60_000);

needs('consul')('What Consul takes at once', () => {
  let server: ConsulProcess;
  let store: ConsulStore;
  beforeAll(async () => {
    server = await startConsul();
    store = clientOf(server);
  }, 600_000);
  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
  });

  test('is told by the store, and a value beyond it is refused with the name of its key', async () => {
    expect(store.limits).toEqual({ maxValueBytes: 524_288, maxTransactionBytes: expect.any(Number) });
    const value = 'x'.repeat(524_289);
    const put = { type: 'put', key: 'limits/large', value } as const;
    for (const refused of [store.put('limits/large', value), store.transact({ when: [], then: [put] })]) {
      const error = await refused.catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(InvalidRequestError);
      expect(String(error)).toMatch(/"limits\/large".*524288 bytes, not of 524289/);
    }
    await store.put('limits/large', value.slice(1));
    expect((await store.get('limits/large'))?.value.length).toBe(524_288);
  });

  test('is enough for a value of 370 KiB that goes from one lease to another under a condition', async () => {
    const key = 'limits/moved';
    const value = Buffer.alloc(370 * 1024, 1);
    await using from = await store.grantLease({ ttlSeconds: 60 });
    await using to = await store.grantLease({ ttlSeconds: 60 });
    const { revision } = await store.put(key, value, { lease: from.id });
    const { succeeded } = await store.transact({
      when: [{ key, target: 'mod', result: 'equal', value: revision }],
      then: [{ type: 'put', key, value, lease: to.id }],
    });
    expect(succeeded).toBe(true);
    const found = await store.get(key);
    expect(found?.lease).toBe(to.id);
    expect(Buffer.compare(found?.value ?? Buffer.alloc(0), value)).toBe(0);
  });

  test('is never exceeded by a sync store; what is too large alone is named, and the rest gets in', async () => {
    const lines: string[] = [];
    const log = createLogger({
      level: 'error',
      format: 'json',
      clock: systemClock,
      write: (line) => void lines.push(line),
    });
    let refusals = 0;
    const sync = new SyncStore({
      store,
      clock: systemClock,
      log,
      scope: 'limits/',
      leaseTtlSeconds: 60,
      metrics: { error: () => (refusals += 1) },
    });
    const stopping = new AbortController();
    const running = sync.run(stopping.signal);
    for (let i = 0; i < 200; i++) sync.set(`limits/many/${i}`, Buffer.alloc(8000, i));
    sync.set('limits/many/half', Buffer.alloc(450_000, 1));
    await sync.synced();
    expect(refusals).toBe(0);
    sync.set('limits/many/too-large', Buffer.alloc(600_000, 1));
    sync.set('limits/many/after', Buffer.from('x'));
    while ((await store.get('limits/many/after')) === undefined || lines.length === 0) await systemClock.sleep(20);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ key: 'limits/many/too-large' });
    expect(await store.count('limits/many/')).toBe(202);
    stopping.abort();
    await running;
    await sync.withdraw().catch(() => undefined);
    await sync[Symbol.asyncDispose]();
  });

  test('is not forgotten when a watch takes more connections than are left', async () => {
    await using crowded = clientOf(server, { shardKeys: 16, maxShards: 1, log: silentLogger });
    for (let from = 0; from < 100; from += 50)
      await store.transact({
        when: [],
        then: Array.from({ length: 50 }, (_, i) => ({ type: 'put', key: `limits/w/${from + i}`, value: 'x' })),
      });
    const stopping = new AbortController();
    let seen = 0;
    for await (const batch of crowded.listAndWatch('limits/w/', { signal: stopping.signal })) {
      if (batch.type === 'synced') await store.put('limits/w/new', 'x');
      if (batch.type === 'changes') seen += batch.events.length;
      if (seen === 101) stopping.abort();
    }
    expect(seen).toBe(101);
  });
});
