import { realpathSync } from 'node:fs';
import { hostname } from 'node:os';
import { type RootDatabase, open } from 'lmdb';
import type { Clock } from '../../runtime/clock/index.ts';
import type { StoreDirectoryError } from './directory-error.ts';
import { lockDirectory } from './directory-lock.ts';
import { checkDirectory, markDirectory, sealDirectory, storeFormat } from './directory.ts';
import { checkFileSystem } from './file-system.ts';
import { decodeTimes } from './lease-times.ts';
import { explained } from './lmdb-error.ts';
import { metaKeys, metaRevision, revisionBytes } from './meta.ts';
import { readLogKey } from './row-codec.ts';
import { checkPages } from './page-check.ts';
import { recordsLeft } from './records-left.ts';
import { RowArena } from './row-arena.ts';
import { forgetStop, noteStop, untouchedSinceStop } from './stop-note.ts';
import { TableFile, checkTableFile, damaged, isSmall } from './table-file.ts';
import type { Table, Tables, Walk } from './table-types.ts';
import { hasLog } from './wal/index.ts';

/** lmdb-js on pages of 4 KiB. */
export const maxKeyBytes = 1978;

const ownerKey = Buffer.from('owner');
/** More than making the tables and taking ownership need. */
const writesOfStart = 64;

/**
 * Opens or makes the store in `directory` and takes ownership of it. @throws {StoreDirectoryError}
 *
 * `overlappingSync: false` is what the durability rests on: without it a commit's promise only means *visible*. Batches are
 * made by us (`writeToLmdb`): with lmdb-js's own `eventTurnBatching` a commit that fails also rejects a promise that nobody
 * holds, which ends the process.
 */
export async function openTables(directory: string, clock?: Clock): Promise<Tables> {
  checkDirectory(directory);
  checkFileSystem(directory);
  const lock = await lockDirectory(directory, clock);
  try {
    const sealed = markDirectory(directory);
    checkTableFile(directory, sealed !== undefined);
    // What is large, was stopped in order and not touched since is looked at later, beside the work (`page-patrol.ts`). What has
    // a log was killed, died over a page, or was copied while it was written.
    const trusted = !hasLog(directory) && untouchedSinceStop(directory) && !isSmall(directory);
    const checked = sealed !== undefined && !trusted;
    if (checked) await checkPages(directory);
    // LMDB may end the process over the pages that a start reads: the next start is to look at all of them.
    else forgetStop(directory);
    const tables = await openLocked(directory, lock, sealed);
    return { ...tables, checked };
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw explained(error, directory);
  }
}

async function openLocked(
  directory: string,
  lock: AsyncDisposable,
  sealed: string | undefined,
): Promise<Omit<Tables, 'checked'>> {
  const path = realpathSync(directory);
  const common = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const durability = { overlappingSync: false, eventTurnBatching: false };
  // Told outright: lmdb-js takes a name with a dot in it for a file.
  const place = { path, noSubdir: false };
  const root = open<Buffer, Buffer>({ ...place, maxDbs: 8, maxReaders: 512, ...durability, ...common });
  let file: TableFile | undefined;
  try {
    file = new TableFile(path);
    makeRoom({ file, root }, writesOfStart, 0);
    const table = (name: string): Table => root.openDB<Buffer, Buffer>({ name, ...common });
    const tables = {
      directory: path,
      root,
      cur: table('cur'),
      walk: openWalk(root),
      log: table('log'),
      dead: table('dead'),
      lk: table('lk'),
      lease: table('lease'),
      meta: table('meta'),
      ownership: {
        table: root.openDB<Buffer, Buffer>({ name: 'owner', useVersions: true, ...common }),
        key: ownerKey,
        version: randomVersion(),
      },
      file,
      lock,
    };
    // Looked at before anything is written, and again by `openLog` once nobody else can add to it.
    recordsLeft(tables);
    const leaseTimes = takeOwnership(tables, directory, sealed);
    forgetStop(path);
    if (sealed === undefined) sealDirectory(directory, sealOf(tables));
    return { ...tables, leaseTimes };
  } catch (error) {
    file?.[Symbol.dispose]();
    await root.close();
    throw error;
  }
}

/** To be called before every commit. */
export function makeRoom({ file, root }: Pick<Tables, 'file' | 'root'>, writes: number, bytes: number): void {
  const { pageSize, lastPageNumber } = root.getStats() as {
    readonly pageSize: number;
    readonly lastPageNumber: number;
  };
  file.makeRoom((lastPageNumber + 1) * pageSize, writes, bytes, pageSize);
}

/** What the mark of the directory says of the store in it. */
function sealOf({ meta }: Pick<Tables, 'meta'>): string {
  return meta.get(metaKeys.cluster)?.toString('hex') ?? '';
}

/** A key that nobody looks at is not made, and values share pieces of memory. */
function openWalk(root: RootDatabase<Buffer, Buffer>): Walk {
  const arena = new RowArena();
  const keyEncoder = {
    writeKey: (key: Buffer, target: Buffer, position: number): number => position + key.copy(target, position),
    readKey: (): undefined => undefined,
  };
  const encoder = {
    encode: (value: Buffer): Buffer => value,
    decode: (bytes: Buffer, length: number): Buffer => arena.copy(bytes, length),
  };
  const table = root.openDB<Buffer, Buffer>({ name: 'cur', keyEncoder, encoder } as never);
  return { table, arena };
}

/** @param inOrder whether the tables have everything, so that the next start needs no log */
export async function closeTables(tables: Tables, inOrder = false): Promise<void> {
  await tables.root.close();
  tables.file[Symbol.dispose]();
  if (inOrder) noteStop(tables.directory);
  await tables.lock[Symbol.asyncDispose]();
}

/** Makes what a store begins with, and enters this process as the one that has it. Gives the leases' times. */
function takeOwnership(
  tables: Pick<Tables, 'meta' | 'log' | 'root' | 'ownership'>,
  directory: string,
  sealed: string | undefined,
): ReadonlyMap<bigint, number> {
  const { meta, log, root, ownership } = tables;
  let times: Buffer | undefined;
  const failure = root.transactionSync((): StoreDirectoryError | undefined => {
    if (sealed !== undefined && sealOf(tables) !== sealed)
      return damaged(directory, 'its tables are not those of the store that the directory was made for');
    if (!meta.get(metaKeys.format)) {
      meta.putSync(metaKeys.format, revisionBytes(storeFormat));
      meta.putSync(metaKeys.cluster, randomId());
      meta.putSync(metaKeys.member, randomId());
      meta.putSync(metaKeys.revision, revisionBytes(1));
    }
    for (const key of log.getKeys({ reverse: true, limit: 1 })) {
      const last = readLogKey(key).revision;
      if (last > metaRevision(tables, metaKeys.revision, 0)) return damaged(directory, 'its history is ahead of it');
    }
    // For people who look: what counts is the version.
    const owner = Buffer.from(JSON.stringify({ pid: process.pid, host: hostname() }));
    ownership.table.putSync(ownership.key, owner, ownership.version);
    // They hold for one start: after a kill a renewal that was answered since must not be forgotten.
    times = meta.get(metaKeys.times);
    meta.removeSync(metaKeys.times);
    return undefined;
  });
  if (failure) throw failure;
  return decodeTimes(times);
}

/** 64 random bits, never zero. */
function randomId(): Buffer {
  const bytes = Buffer.from(crypto.getRandomValues(new Uint8Array(8)));
  if (bytes.readBigUInt64BE(0) === 0n) bytes[7] = 1;
  return bytes;
}

/** LMDB-js keeps versions as numbers. */
function randomVersion(): number {
  return Number(randomId().readBigUInt64BE(0) >> 12n) + 1;
}
