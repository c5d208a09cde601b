import { realpathSync } from 'node:fs';
import { type Database, type RootDatabase, open } from 'lmdb';
import { StoreDirectoryError } from './directory-error.ts';
import { claimDirectory, storeFormat } from './directory.ts';
import { type Owner, isAlive, isSameOwner, thisProcess } from './owner.ts';
import { readLogKey, readRevision, writeRevision } from './row-codec.ts';

export type Table = Database<Buffer, Buffer>;

/** The LMDB environment and its tables; the README says what each one holds. */
export interface Tables {
  readonly directory: string;
  readonly root: RootDatabase<Buffer, Buffer>;
  readonly cur: Table;
  readonly log: Table;
  readonly dead: Table;
  readonly lk: Table;
  readonly lease: Table;
  readonly meta: Table;
}

export const metaKeys = {
  format: Buffer.from('format'),
  cluster: Buffer.from('cluster'),
  member: Buffer.from('member'),
  owner: Buffer.from('owner'),
  revision: Buffer.from('revision'),
  /** Revisions below it cannot be read any more. */
  compacted: Buffer.from('compacted'),
  /** How far the rows of that compaction are gone: the log key to go on from. */
  sweep: Buffer.from('sweep'),
} as const;

/** lmdb-js on pages of 4 KiB. */
export const maxKeyBytes = 1978;

/** Directories open in this process: a process is no stranger to itself, so the owner check would let it in twice. */
const openHere = new Set<string>();

/**
 * Opens or makes the store in `directory` and takes ownership of it. @throws {StoreDirectoryError}
 *
 * `overlappingSync: false` is what the durability rests on: without it a commit's promise only means *visible*. Batches are
 * made by us (`writeToLmdb`): with lmdb-js's own `eventTurnBatching` a commit that fails also rejects a promise that nobody
 * holds, which ends the process.
 */
export async function openTables(directory: string): Promise<Tables> {
  claimDirectory(directory);
  const path = realpathSync(directory);
  if (openHere.has(path)) throw inUse(directory, process.pid);
  openHere.add(path);
  const common = { keyEncoding: 'binary', encoding: 'binary' } as const;
  const durability = { overlappingSync: false, eventTurnBatching: false };
  const root = open<Buffer, Buffer>({ path, maxDbs: 8, maxReaders: 512, ...durability, ...common });
  try {
    const table = (name: string): Table => root.openDB<Buffer, Buffer>({ name, ...common });
    const tables: Tables = {
      directory: path,
      root,
      cur: table('cur'),
      log: table('log'),
      dead: table('dead'),
      lk: table('lk'),
      lease: table('lease'),
      meta: table('meta'),
    };
    takeOwnership(tables, directory);
    return tables;
  } catch (error) {
    openHere.delete(path);
    await root.close();
    throw error;
  }
}

export async function closeTables(tables: Tables): Promise<void> {
  tables.root.transactionSync(() => tables.meta.removeSync(metaKeys.owner));
  await tables.root.close();
  openHere.delete(tables.directory);
}

export function revisionBytes(revision: number): Buffer {
  const bytes = Buffer.alloc(8);
  writeRevision(bytes, revision, 0);
  return bytes;
}

export function metaRevision(tables: Tables, key: Buffer, missing: number): number {
  const bytes = tables.meta.get(key);
  return bytes ? readRevision(bytes, 0) : missing;
}

export function metaId(tables: Tables, key: Buffer): bigint {
  const bytes = tables.meta.get(key);
  if (!bytes) throw new StoreDirectoryError('damaged', tables.directory, `Store in ${tables.directory} has no ids`);
  return bytes.readBigUInt64BE(0);
}

/** LMDB's own lock, which spans processes and ends with its holder, makes look-up and entry one step. */
function takeOwnership(tables: Tables, directory: string): void {
  const { meta, log, root } = tables;
  const me = thisProcess();
  const failure = root.transactionSync((): StoreDirectoryError | undefined => {
    const owner = ownerOf(meta.get(metaKeys.owner));
    if (owner && !isSameOwner(owner, me) && isAlive(owner)) return inUse(directory, owner.pid);
    if (!meta.get(metaKeys.format)) {
      meta.putSync(metaKeys.format, revisionBytes(storeFormat));
      meta.putSync(metaKeys.cluster, randomId());
      meta.putSync(metaKeys.member, randomId());
      meta.putSync(metaKeys.revision, revisionBytes(1));
    }
    for (const key of log.getKeys({ reverse: true, limit: 1 })) {
      const last = readLogKey(key).revision;
      if (last > metaRevision(tables, metaKeys.revision, 0))
        return new StoreDirectoryError(
          'damaged',
          directory,
          `Store in ${directory} is damaged: its log is ahead of it`,
        );
    }
    meta.putSync(metaKeys.owner, Buffer.from(JSON.stringify(me)));
    return undefined;
  });
  if (failure) throw failure;
}

function ownerOf(bytes: Buffer | undefined): Owner | undefined {
  return bytes ? (JSON.parse(bytes.toString()) as Owner) : undefined;
}

function inUse(directory: string, pid: number): StoreDirectoryError {
  return new StoreDirectoryError(
    'in-use',
    directory,
    `Store in ${directory} is in use by process ${pid}; stop it first or choose another data directory`,
    pid,
  );
}

/** 64 random bits, never zero. */
function randomId(): Buffer {
  const bytes = Buffer.from(crypto.getRandomValues(new Uint8Array(8)));
  if (bytes.readBigUInt64BE(0) === 0n) bytes[7] = 1;
  return bytes;
}
