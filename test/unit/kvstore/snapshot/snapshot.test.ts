import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  CompactedError,
  EngineStore,
  MemoryEngine,
  RestoreDirectoryError,
  type RestoredStore,
  SnapshotFileError,
  type WrittenSnapshot,
  mirror,
  openEmbeddedEngine,
  restoreSnapshot,
  toText,
  writeSnapshot,
} from '../../../../kvstore/index.ts';
import { sealed, streamSnapshot } from '../../../../kvstore/snapshot/index.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';
import { NotReplaceableError } from '../../../../runtime/files/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';

const { signal } = new AbortController();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-snapshot-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const file = (): string => join(folder, 'snapshot');

/** A snapshot of a store with these keys, some of them under a lease of 77 s. */
async function snapshotOf(keys: readonly (readonly [string | Uint8Array, string | Uint8Array])[]): Promise<{
  readonly written: WrittenSnapshot;
  readonly lease: bigint;
}> {
  await using engine = new MemoryEngine({ clock });
  await using store = new EngineStore(engine, { clock, endpoint: 'memory' });
  const { id: lease } = await engine.leaseGrant({ id: 0n, ttl: 77 });
  for (const [i, [key, value]] of keys.entries()) await store.put(key, value, i % 2 === 0 ? { lease } : {});
  const leaseTtl = async (id: bigint): Promise<number> => (await engine.leaseTimeToLive(id, false)).grantedTtl;
  return { written: await writeSnapshot({ store, leaseTtl, file: file(), clock, signal }), lease };
}

function restore(directory = join(folder, 'new')): Promise<RestoredStore> {
  return restoreSnapshot({ file: file(), directory, leaseTtlSeconds: 60, clock, log, signal });
}

describe('a snapshot', () => {
  /** A store of three pages, of which the first `times` listings find their revision forgotten after a page. */
  async function forgetful(times: number) {
    await using engine = new MemoryEngine({ clock });
    await using store = new EngineStore(engine, { clock, endpoint: 'memory' });
    for (let i = 0; i < 2_500; i++) await store.put(`k/${i}`, '1');
    let listings = 0;
    const source = {
      health: () => store.health(),
      list: async function* (...args: Parameters<typeof store.list>) {
        listings += 1;
        for await (const page of store.list(...args)) {
          yield page;
          if (listings > times) continue;
          await store.put(`more/${listings}`, '1');
          await engine.compact(engine.revision);
        }
      },
    };
    const said: string[] = [];
    const leaseTtl = (): Promise<undefined> => Promise.resolve(undefined);
    const onAgain = ({ message }: CompactedError): void => void said.push(message);
    const written = writeSnapshot({ store: source, leaseTtl, file: file(), clock, signal, onAgain });
    return { said, written: await written.catch((error: unknown) => error) };
  }

  test('of a revision that is forgotten meanwhile is begun again, with what is there then', async () => {
    const { said, written } = await forgetful(2);
    expect(said).toEqual([expect.stringMatching(/compacted/), expect.stringMatching(/compacted/)]);
    expect(written).toMatchObject({ keys: 2_502 });
    expect((await restore()).keys).toBe(2_502);
  });

  test('is given up when each revision is forgotten before it was read, and leaves nothing', async () => {
    const { said, written } = await forgetful(100);
    expect(written).toBeInstanceOf(CompactedError);
    expect(said).toHaveLength(4);
    expect(await readdir(folder)).toEqual([]);
  });

  test('takes the place of a file, and of nothing else', async () => {
    execFileSync('mkfifo', [file()]);
    const before = await stat(file());
    await expect(snapshotOf([['a', '1']])).rejects.toThrow(NotReplaceableError);
    expect((await stat(file())).ino).toBe(before.ino);
    expect(await readdir(folder)).toEqual(['snapshot']);
  });

  test('comes back as another store with the same keys, values and leases', async () => {
    const binary = new Uint8Array([0xff, 0, 0x80]);
    const { written, lease } = await snapshotOf([
      ['a', '1'],
      ['b', 'line\nbreak \u{1F600} \uFEFF'],
      ['c', binary],
      [binary, ''],
    ]);
    expect(written).toMatchObject({ keys: 4, leases: 1, revision: 5 });
    const restored = await restore();
    expect(restored).toMatchObject({ keys: 4, leases: 1, from: { revision: 5, storeId: written.storeId } });
    expect(restored.storeId).not.toBe(written.storeId);
    await using engine = await openEmbeddedEngine({ directory: join(folder, 'new'), clock, log });
    await using store = new EngineStore(engine, { clock, endpoint: 'restored' });
    const found = [];
    for await (const { entries } of store.list('')) found.push(...entries);
    expect(found.map((entry) => [Buffer.from(entry.key), Buffer.from(entry.value), entry.lease])).toEqual([
      [Buffer.from('a'), Buffer.from('1'), lease],
      [Buffer.from('b'), Buffer.from('line\nbreak \u{1F600} \uFEFF'), 0n],
      [Buffer.from('c'), Buffer.from(binary), lease],
      [Buffer.from(binary), Buffer.from(''), 0n],
    ]);
    expect(await engine.leaseTimeToLive(lease, false)).toMatchObject({ grantedTtl: 77 });
  });

  test('what an owner had claimed of a copier is not the copier’s in the restored store', async () => {
    await using source = new MemoryEngine({ clock });
    await using a = new EngineStore(source, { clock, endpoint: 'a' });
    await a.put('claimed', 'of the source');
    await using target = new MemoryEngine({ clock });
    await using b = new EngineStore(target, { clock, endpoint: 'b' });
    const options = { from: a, prefix: '', leaseTtlSeconds: 60, once: true };
    await mirror({ ...options, to: b }, { clock, log }, signal);
    await b.put('claimed', 'of its owner');
    const leaseTtl = async (id: bigint): Promise<number> => (await target.leaseTimeToLive(id, false)).grantedTtl;
    await writeSnapshot({ store: b, leaseTtl, file: file(), clock, signal });
    await restore();
    await using engine = await openEmbeddedEngine({ directory: join(folder, 'new'), clock, log });
    await using restored = new EngineStore(engine, { clock, endpoint: 'restored' });
    expect(await mirror({ ...options, to: restored }, { clock, log }, signal)).toMatchObject({ kept: 1, written: 0 });
    expect(toText((await restored.get('claimed'))?.value ?? new Uint8Array())).toBe('of its owner');
  });

  test('what a copier brought under its lease is a copier’s in the restored store', async () => {
    await using source = new MemoryEngine({ clock });
    await using a = new EngineStore(source, { clock, endpoint: 'a' });
    await using lease = await a.grantLease({ ttlSeconds: 60 });
    await a.put('leased', 'before', { lease: lease.id });
    await using target = new MemoryEngine({ clock });
    await using b = new EngineStore(target, { clock, endpoint: 'b' });
    const options = { from: a, prefix: '', leaseTtlSeconds: 60, once: true };
    await mirror({ ...options, to: b }, { clock, log }, signal);
    await writeSnapshot({ store: b, leaseTtl: async () => 60, file: file(), clock, signal });
    await restore();
    await a.put('leased', 'since', { lease: lease.id });
    await using engine = await openEmbeddedEngine({ directory: join(folder, 'new'), clock, log });
    await using restored = new EngineStore(engine, { clock, endpoint: 'restored' });
    expect(await mirror({ ...options, to: restored }, { clock, log }, signal)).toMatchObject({ kept: 0, written: 1 });
  });

  test('nobody waits in the restored store for a lock of the old one', async () => {
    await using engine = new MemoryEngine({ clock });
    await using store = new EngineStore(engine, { clock, endpoint: 'memory' });
    await using lock = await store.lock('cilium/lock');
    const [name] = toText(lock.key).split('/').slice(-1);
    await store.put('cilium/state/1', '1', { lease: BigInt(`0x${name}`) });
    // A Consul does not say how long its leases last.
    const written = await writeSnapshot({ store, leaseTtl: async () => undefined, file: file(), clock, signal });
    expect(written).toMatchObject({ keys: 2, leases: 1 });
    expect(await restore()).toMatchObject({ keys: 1, leases: 1 });
    await using restored = await openEmbeddedEngine({ directory: join(folder, 'new'), clock, log });
    await using again = new EngineStore(restored, { clock, endpoint: 'restored' });
    await using next = await again.lock('cilium/lock', { signal: AbortSignal.timeout(20_000) });
    expect(next.lost.aborted).toBe(false);
    expect((await again.get('cilium/state/1'))?.lease).not.toBe(0n);
  });

  test('the restored store is above every revision of the old one, and has none of its history', async () => {
    const { written } = await snapshotOf([['a', '1']]);
    const { revision } = await restore();
    expect(revision).toBeGreaterThan(written.revision + 1_000_000_000);
    await using engine = await openEmbeddedEngine({ directory: join(folder, 'new'), clock, log });
    await using store = new EngineStore(engine, { clock, endpoint: 'restored' });
    await expect(store.get('a', { revision: written.revision })).rejects.toThrow(CompactedError);
    expect((await store.put('b', '2')).revision).toBe(revision + 1);
  });

  test('is restored into a directory whose name has a dot', async () => {
    await snapshotOf([['a', '1']]);
    const directory = join(folder, 'store.d');
    expect(await restore(directory)).toMatchObject({ keys: 1 });
    await using engine = await openEmbeddedEngine({ directory, clock, log });
    expect(await engine.status()).toMatchObject({ keys: 1 });
    expect(await readdir(folder)).toEqual(['snapshot', 'store.d']);
  });

  test('of an empty store gives an empty one', async () => {
    await snapshotOf([]);
    expect(await restore()).toMatchObject({ keys: 0, leases: 0 });
  });

  test('is readable by its owner alone, and leaves nothing half-written beside it', async () => {
    await snapshotOf([['a', '1']]);
    expect(await readdir(folder)).toEqual(['snapshot']);
    expect((await stat(file())).mode & 0o777).toBe(0o600);
    const [header] = gunzipSync(await readFile(file()))
      .toString()
      .split('\n');
    expect(JSON.parse(header ?? '')).toMatchObject({ product: 'isthmus', snapshot: 1 });
  });

  test('is not restored into a directory that holds something', async () => {
    await snapshotOf([['a', '1']]);
    await restore();
    await expect(restore()).rejects.toThrow(RestoreDirectoryError);
    await expect(restore(folder)).rejects.toThrow(/is not empty \(found/);
  });
});

describe('a damaged snapshot', () => {
  const lines = async (): Promise<string[]> =>
    gunzipSync(await readFile(file()))
      .toString()
      .trimEnd()
      .split('\n');
  const rewrite = (changed: readonly string[]): Promise<void> =>
    writeFile(file(), gzipSync(changed.map((line) => `${line}\n`).join('')));

  test.each([
    { damage: 'has lost its second half', problem: /damaged or cut short/, half: true },
    { damage: 'is another file', problem: /no snapshot of ours/, whole: 'root:x:0:0:root:/root:/bin/sh' },
    { damage: 'has lost an entry', problem: /promises .*found were 2 keys/, drop: 1 },
    { damage: 'has lost its end', problem: /it has no end/, drop: -1 },
    { damage: 'has lost its header', problem: /no snapshot of ours/, drop: 0 },
    { damage: 'has a line of rubbish', problem: /line 2: not JSON/, replace: 'rubbish' },
    { damage: 'has an entry without value', problem: /line 2: expected an entry/, replace: '{"key":"a"}' },
    { damage: 'is of a newer format', problem: /has format 9/, header: '{"product":"isthmus","snapshot":9}' },
  ])('that $damage is refused, and nothing is made', async ({ problem, half, whole: other, drop, replace, header }) => {
    await snapshotOf([
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ]);
    const whole = await lines();
    if (half) {
      const bytes = await readFile(file());
      await writeFile(file(), bytes.subarray(0, bytes.length / 2));
    } else if (other !== undefined) await writeFile(file(), other);
    else if (drop !== undefined) await rewrite(whole.toSpliced(drop, 1));
    else await rewrite(header === undefined ? whole.with(1, replace ?? '') : whole.with(0, header));
    const failure = restore();
    await expect(failure).rejects.toThrow(SnapshotFileError);
    await expect(failure).rejects.toThrow(problem);
    expect(existsSync(join(folder, 'new'))).toBe(false);
  });

  test.each([0, 1, 300, 511, 512, 5000])(
    'sealed for clients of etcd, is whole sectors and a sum, and is read as before (%i bytes more)',
    async (more) => {
      await using engine = new MemoryEngine({ clock });
      await using store = new EngineStore(engine, { clock, endpoint: 'memory' });
      // What cannot be compressed decides on the length.
      await store.put('a', randomBytes(more));
      const chunks: Uint8Array[] = [];
      for await (const chunk of sealed(streamSnapshot({ store, leaseTtl: async () => 1, clock, signal })))
        chunks.push(chunk);
      const whole = Buffer.concat(chunks);
      expect(whole.length % 512).toBe(32);
      expect(whole.subarray(-32)).toEqual(createHash('sha256').update(whole.subarray(0, -32)).digest());
      await writeFile(file(), whole);
      expect(await restore()).toMatchObject({ keys: 1, leases: 0 });
      // Behind gzip's header, and well before what fills the last sector up, where nothing is stored that could be damaged.
      whole[100] = (whole[100] ?? 0) ^ 0xff;
      await writeFile(file(), whole);
      await expect(restore(join(folder, 'another'))).rejects.toBeInstanceOf(SnapshotFileError);
    },
  );
});
