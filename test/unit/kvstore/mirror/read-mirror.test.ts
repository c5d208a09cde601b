import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type Engine,
  EngineStore,
  MemoryEngine,
  PermissionDeniedError,
  ReadMirror,
  type Store,
  type WatchBatch,
  toText,
} from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';

const clock = systemClock;

/** A store whose listings can be held up, and made to begin anew. */
class Source {
  readonly engine = new MemoryEngine({ clock });
  readonly store = new EngineStore(this.engine, { clock, endpoint: 'source' });
  gate: Promise<void> = Promise.resolve();
  /** While true, a token is refused. */
  refuses = false;
  #again = new AbortController();

  relist(): void {
    this.#again.abort();
    this.#again = new AbortController();
  }

  async *listAndWatch(
    prefix: string | Uint8Array,
    { signal }: { readonly signal: AbortSignal },
  ): AsyncGenerator<WatchBatch, void, void> {
    while (!signal.aborted) {
      if (this.refuses) throw new PermissionDeniedError('the token is refused');
      const part = AbortSignal.any([signal, this.#again.signal]);
      for await (const batch of this.store.listAndWatch(prefix, { signal: part })) {
        await this.gate;
        yield batch;
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.engine[Symbol.asyncDispose]();
  }
}

describe('A read-only mirror', () => {
  let source: Source;
  let served: Engine | undefined;
  let reader: Store;
  let mirror: ReadMirror;
  let stopping: AbortController;
  let done: Promise<void>;

  beforeEach(() => {
    source = new Source();
    stopping = new AbortController();
    mirror = newMirror();
  });
  afterEach(async () => {
    stopping.abort();
    await done;
    expect(served).toBeUndefined();
    await source[Symbol.asyncDispose]();
  });

  function newMirror(awaited: readonly string[] = []): ReadMirror {
    return new ReadMirror({
      from: source,
      prefix: 'cilium/',
      awaited,
      clock,
      log: silentLogger,
      serve: async (engine) => {
        served = engine;
        reader = new EngineStore(engine, { clock, endpoint: 'mirror' });
        return { [Symbol.asyncDispose]: async () => void (served = undefined) };
      },
    });
  }
  const start = (): void => void (done = mirror.run(stopping.signal));
  const synced = (): Promise<void> => until(() => mirror.status().synced);
  async function contents(): Promise<Record<string, string>> {
    const found: Record<string, string> = {};
    for await (const { entries } of reader.list(''))
      for (const { key, value } of entries) found[toText(key)] = toText(value);
    return found;
  }

  test('serves nothing before the first listing is complete, then what is under its prefix', async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    source.gate = promise;
    for (let i = 0; i < 300; i++) await source.store.put(`cilium/state/${i}`, `${i}`);
    await source.store.put('isthmus/own', 'hidden');
    start();
    await new Promise((settle) => setTimeout(settle, 30));
    expect([served, mirror.status().synced]).toEqual([undefined, false]);
    resolve();
    await synced();
    const found = await contents();
    expect(Object.keys(found)).toHaveLength(300);
    expect(found['cilium/state/7']).toBe('7');
  });

  test('serves nothing before what is written last is there, and goes on serving without it', async () => {
    const last = ['cilium/cluster-config/east', 'cilium/synced/east/nodes'];
    mirror = newMirror(last);
    await source.store.put('cilium/state/1', 'one of many');
    start();
    await until(() => mirror.status().keys === 1);
    await source.store.put('cilium/cluster-config/east', '{}');
    await until(() => mirror.status().keys === 2);
    expect([served, mirror.status().synced]).toEqual([undefined, false]);
    await source.store.put('cilium/state/2', 'the last one');
    await source.store.put('cilium/synced/east/nodes', 'now');
    await synced();
    expect(Object.keys(await contents())).toHaveLength(4);
    await source.store.delete('cilium/synced/east/nodes');
    await until(() => mirror.status().keys === 3);
    source.relist();
    await synced();
    expect(served).toBeDefined();
  });

  test('goes on serving while its token is refused, and follows again with the next one', async () => {
    await source.store.put('cilium/a', '1');
    start();
    await synced();
    source.refuses = true;
    source.relist();
    await new Promise((settle) => setTimeout(settle, 30));
    expect(await contents()).toEqual({ 'cilium/a': '1' });
    source.refuses = false;
    await source.store.put('cilium/a', '2');
    await until(async () => (await contents())['cilium/a'] === '2');
  });

  test('ends where it may not read from the beginning', async () => {
    source.refuses = true;
    start();
    const error = await done.catch((reason: unknown) => reason);
    done = Promise.resolve();
    expect(error).toBeInstanceOf(PermissionDeniedError);
  });

  test('passes on what changes, a heartbeat too, and keeps nothing under a lease', async () => {
    start();
    await synced();
    const lease = await source.store.grantLease({ ttlSeconds: 60 });
    await source.store.put('cilium/.heartbeat', '2026', { lease: lease.id });
    await source.store.put('cilium/a', '1');
    await until(async () => 'cilium/a' in (await contents()));
    await source.store.delete('cilium/a');
    await until(async () => !('cilium/a' in (await contents())));
    expect(await contents()).toEqual({ 'cilium/.heartbeat': '2026' });
    expect((await reader.get('cilium/.heartbeat'))?.lease).toBe(0n);
    await lease.revoke();
    await until(async () => Object.keys(await contents()).length === 0);
  });

  test('refuses every write as etcd refuses who has no right, and lets reading transactions pass', async () => {
    await source.store.put('cilium/a', '1');
    start();
    await synced();
    const refused = [
      reader.put('cilium/a', 'x'),
      reader.delete('cilium/a'),
      reader.deletePrefix('cilium/'),
      reader.grantLease({ ttlSeconds: 60 }),
      reader.transact({ when: [], then: [{ type: 'put', key: 'cilium/b', value: 'x' }] }),
      reader.transact({ when: [], then: [], otherwise: [{ type: 'delete', key: 'cilium/a' }] }),
    ];
    for (const result of await Promise.allSettled(refused))
      expect(result).toMatchObject({ status: 'rejected', reason: { message: 'etcdserver: permission denied' } });
    await expect(served?.compact(5)).rejects.toMatchObject({ grpcCode: 7 });
    const read = await reader.transact({ when: [], then: [{ type: 'get', key: 'cilium/a' }] });
    expect(read.results).toMatchObject([{ type: 'get', entry: { version: 1 } }]);
    expect(await contents()).toEqual({ 'cilium/a': '1' });
  });

  test('takes over only the difference when its source is listed again, and removes nothing before the end', async () => {
    for (let i = 0; i < 200; i++) await source.store.put(`cilium/${i}`, 'x');
    start();
    await synced();
    const before = mirror.status().revision;
    const { promise, resolve } = Promise.withResolvers<void>();
    source.gate = promise;
    await source.store.deletePrefix('cilium/1');
    await source.store.put('cilium/0', 'new');
    source.relist();
    await new Promise((settle) => setTimeout(settle, 30));
    expect(Object.keys(await contents()).length).toBe(200);
    resolve();
    await until(async () => Object.keys(await contents()).length === 89);
    await synced();
    expect((await contents())['cilium/0']).toBe('new');
    expect(mirror.status().revision - before).toBeLessThanOrEqual(3);
    expect((await reader.get('cilium/2'))?.version).toBe(1);
  });

  test('is another store in each life, whose older revisions are compacted', async () => {
    await source.store.put('cilium/a', '1');
    start();
    await synced();
    const [id, revision] = [served?.clusterId, served?.revision ?? 0];
    stopping.abort();
    await done;
    stopping = new AbortController();
    mirror = newMirror();
    start();
    await synced();
    expect(served?.clusterId).not.toBe(id);
    expect(served?.revision).toBeGreaterThan(revision);
    const { promise, resolve } = Promise.withResolvers<number>();
    served?.watch(
      { key: Buffer.from('cilium/a'), startRevision: revision + 1 },
      { events: () => undefined, compacted: resolve, failed: () => undefined },
    );
    expect(await promise).toBeGreaterThan(revision);
  });
});

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 30_000;
  while (!(await check())) {
    if (performance.now() > deadline) throw new Error(`Not so after 30 s: ${check.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
