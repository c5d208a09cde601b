import { existsSync } from 'node:fs';
import { readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../runtime/clock/index.ts';
import { makeDirectory } from '../../runtime/files/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import type { Engine, RequestOp } from '../contract/index.ts';
import { isCopyRecord, isLock } from '../copy/index.ts';
import { openEmbeddedEngine, raiseRevision } from '../embedded/index.ts';
import { readSnapshot } from './read-snapshot.ts';
import type { SnapshotEntry, SnapshotHeader } from './snapshot-format.ts';
import { syncDirectory } from './write-snapshot.ts';

export interface RestoreOptions {
  readonly file: string;
  /** Empty, or made. */
  readonly directory: string;
  /** For leases of which the snapshot does not know how long they lived. */
  readonly leaseTtlSeconds: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Told of keys stored so far. */
  readonly onProgress?: (keys: number) => void;
}

export interface RestoredStore {
  readonly storeId: string;
  readonly revision: number;
  readonly keys: number;
  readonly leases: number;
  /** What the snapshot was taken of. */
  readonly from: SnapshotHeader;
}

/** The directory is not empty, so nothing was restored. */
export class RestoreDirectoryError extends Error {
  override readonly name = 'RestoreDirectoryError';
  readonly code = 'RESTORE_DIRECTORY';
  readonly hint = 'restore into an empty directory, then put it in the place of the old one';

  constructor(directory: string, found: readonly string[]) {
    super(`Directory ${directory} is not empty (found ${found.slice(0, 3).join(', ')})`);
  }
}

/** Revisions that the old store may have handed out since the snapshot: as many as etcd’s guide advises … */
const bump = 1_000_000_000;
/** … and more than any store writes in a second, for each second since. */
const bumpPerSecond = 100_000;
const maxOperations = 128;
const maxBytes = 1 << 20;
const workName = 'restoring';
/** Without this file a directory with anything in it is taken for somebody else’s. */
const storeMarker = 'isthmus-store.json';

/**
 * Makes an embedded store of a snapshot. It is a new store, with an id of its own, at a revision above any that the old
 * one can have handed out: readers see that they have to list again, and none takes it for the one they knew. Leases keep
 * their ids and begin anew with their full time, so that their owners can go on renewing them.
 *
 * Until the last step the directory is refused as one that holds no store: a restore that was cut short is never served.
 * @throws {SnapshotFileError} {@link RestoreDirectoryError}
 */
export async function restoreSnapshot(options: RestoreOptions): Promise<RestoredStore> {
  const { directory } = options;
  const isThere = existsSync(directory);
  const found = isThere ? (await readdir(directory)).filter((name) => name !== 'lost+found') : [];
  if (found.length > 0) throw new RestoreDirectoryError(directory, found);
  const read = await leasesIn(options);
  makeDirectory(directory, 0o700);
  const work = join(directory, workName);
  try {
    const restored = await fill(work, read, options);
    const names = await readdir(work);
    for (const name of names) if (name !== storeMarker) await rename(join(work, name), join(directory, name));
    await syncDirectory(directory);
    await rename(join(work, storeMarker), join(directory, storeMarker));
    await rmdir(work);
    await syncDirectory(directory);
    return restored;
  } catch (error) {
    await rm(work, { recursive: true, force: true });
    throw error;
  }
}

async function fill(work: string, { header, ttlOf }: ReadBefore, options: RestoreOptions): Promise<RestoredStore> {
  const { file, clock, log, signal } = options;
  const seconds = Math.max(0, (clock.now() - Date.parse(header.taken)) / 1000);
  await raiseRevision(work, header.revision + bump + Math.ceil(seconds) * bumpPerSecond);
  await using engine = await openEmbeddedEngine({ directory: work, clock, log });
  for (const [id, ttl] of ttlOf) await engine.leaseGrant({ id, ttl });
  let keys = 0;
  let batch: SnapshotEntry[] = [];
  let bytes = 0;
  let ofRecords = false;
  const flush = async (): Promise<void> => {
    await putAll(engine, batch);
    keys += batch.length;
    batch = [];
    bytes = 0;
    options.onProgress?.(keys);
  };
  for await (const line of readSnapshot(file, signal)) {
    // Whoever held a lock, or waited for it, asks for it again; for the dead nobody shall wait, as long as a Consul's lease would last here.
    if (line.type !== 'entry' || isLock(line.entry)) continue;
    const size = line.entry.key.length + line.entry.value.length + 64;
    const isRecord = isCopyRecord(line.entry.key);
    // A copier's record tells of keys that have its revision. Owners may have claimed them since: here none has it.
    if (isRecord !== ofRecords) await flush();
    ofRecords = isRecord;
    if (batch.length >= maxOperations || (batch.length > 0 && bytes + size > maxBytes)) await flush();
    batch.push(line.entry);
    bytes += size;
  }
  await flush();
  // Whoever comes with a revision of the old store is told that it is gone.
  await engine.compact(engine.revision);
  const { clusterId, revision } = engine;
  return { storeId: clusterId.toString(16), revision, keys, leases: ttlOf.size, from: header };
}

interface ReadBefore {
  readonly header: SnapshotHeader;
  readonly ttlOf: ReadonlyMap<bigint, number>;
}

/** Reads the file to its end once, so that a damaged one is found before anything is made; gives what comes last in it. */
async function leasesIn({ file, signal, leaseTtlSeconds }: RestoreOptions): Promise<ReadBefore> {
  const ttlOf = new Map<bigint, number>();
  let header: SnapshotHeader | undefined;
  for await (const line of readSnapshot(file, signal)) {
    if (line.type === 'header') header = line.header;
    else if (line.type === 'lease') ttlOf.set(leaseIdOf(line.id), line.ttlSeconds ?? leaseTtlSeconds);
  }
  if (!header) throw new TypeError('A snapshot without header was read to its end');
  return { header, ttlOf };
}

async function putAll(engine: Engine, entries: readonly SnapshotEntry[]): Promise<void> {
  const success = entries.map(({ key, value, lease }): RequestOp => ({
    type: 'put',
    request: { key, value, lease: leaseIdOf(lease) },
  }));
  if (success.length > 0) await engine.txn({ compare: [], success, failure: [] });
}

/** Consul’s sessions have 128 bits. What fits into etcd’s ids stays as it is. */
function leaseIdOf(lease: bigint): bigint {
  return BigInt.asUintN(63, lease);
}
