import { createWriteStream } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Clock } from '../../runtime/clock/index.ts';
import { replaceable } from '../../runtime/files/index.ts';
import { CompactedError, type Store } from '../contract/index.ts';
import { type SnapshotEnd, type SnapshotHeader, encodeEntry, snapshotFormat } from './snapshot-format.ts';

/** A store at one revision. */
export interface HeldStore extends Pick<Store, 'list'> {
  readonly storeId: string;
}

export interface SnapshotSource {
  readonly store: Pick<Store, 'list' | 'health'> | HeldStore;
  /** Time to live a lease was granted for; undefined where that is not known. */
  readonly leaseTtl: (id: bigint) => Promise<number | undefined>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told of keys written so far. */
  readonly onProgress?: (keys: number) => void;
}

export interface WriteSnapshotOptions extends SnapshotSource {
  readonly file: string;
  /** Told when the store has forgotten the revision that was being read: all is read again, as it is now. */
  readonly onAgain?: (error: CompactedError) => void;
}

/** A store that forgets faster than it can be read is not caught by more of them. */
const attempts = 5;

export interface WrittenSnapshot extends SnapshotEnd {
  readonly storeId: string;
  readonly revision: number;
}

/**
 * Writes all that a store holds at one revision into a file, while the store goes on. The file is there with all of its
 * content or not at all, and only its owner may read it. A revision that is compacted while it is read is given up for the present one, four times.
 * @throws {NotReplaceableError} where something else than a file has this name
 * @throws {CompactedError} when each revision was forgotten before it was read
 */
export async function writeSnapshot(options: WriteSnapshotOptions): Promise<WrittenSnapshot> {
  for (let attempt = 1; ; attempt++)
    try {
      return await writeOnce(options);
    } catch (error) {
      if (!(error instanceof CompactedError) || attempt >= attempts) throw error;
      options.onAgain?.(error);
    }
}

async function writeOnce(options: WriteSnapshotOptions): Promise<WrittenSnapshot> {
  const { signal } = options;
  const file = await replaceable(options.file);
  const temporary = `${file}.${process.pid}.part`;
  const written = { storeId: '', revision: 0, keys: 0, leases: 0 };
  try {
    await pipeline(
      Readable.from(lines(options, written), { objectMode: true }),
      createGzip({ level: 3 }),
      createWriteStream(temporary, { flags: 'wx', mode: 0o600, flush: true }),
      { signal },
    );
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    signal.throwIfAborted();
    throw error;
  }
  await syncDirectory(dirname(file));
  return written;
}

/** The bytes of a snapshot as they are made, as fast as they are taken. */
export function streamSnapshot(source: SnapshotSource): AsyncIterable<Buffer> {
  const written = { storeId: '', revision: 0, keys: 0, leases: 0 };
  const gzip = createGzip({ level: 3 });
  // What goes wrong ends the iteration over `gzip`, too.
  pipeline(Readable.from(lines(source, written), { objectMode: true }), gzip, { signal: source.signal }).catch(
    () => undefined,
  );
  return gzip;
}

async function* lines(
  { store, leaseTtl, clock, signal, onProgress }: SnapshotSource,
  written: { storeId: string; revision: number; keys: number; leases: number },
): AsyncGenerator<string, void, void> {
  const leases = new Set<bigint>();
  for await (const { entries, revision } of store.list('', { signal })) {
    if (written.revision === 0) {
      written.revision = revision;
      written.storeId = ('storeId' in store ? store.storeId : store.health().storeId) ?? '';
      yield header(written.storeId, revision, clock.now());
    }
    for (const { lease } of entries) if (lease !== 0n) leases.add(lease);
    written.keys += entries.length;
    onProgress?.(written.keys);
    yield entries.map(encodeEntry).join('');
  }
  for (const id of leases) {
    const ttlSeconds = await leaseTtl(id);
    yield `${JSON.stringify({ leaseId: id.toString(16), ...(ttlSeconds === undefined ? {} : { ttlSeconds }) })}\n`;
  }
  written.leases = leases.size;
  const end: SnapshotEnd = { keys: written.keys, leases: leases.size };
  yield `${JSON.stringify({ end })}\n`;
}

function header(storeId: string, revision: number, nowMs: number): string {
  const taken = new Date(nowMs).toISOString();
  const value: SnapshotHeader = { product: 'isthmus', snapshot: snapshotFormat, storeId, revision, taken };
  return `${JSON.stringify(value)}\n`;
}

/** A rename lasts once its directory is on disk. */
export async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(path, 'r');
  await directory.sync();
}
