import { chmodSync, closeSync, existsSync, fstatSync, ftruncateSync, openSync, readSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { StoreDirectoryError } from './directory-error.ts';

/** The two files of LMDB (`mdb_env_open`). */
export const fileName = 'data.mdb';
const lockName = 'lock.mdb';

/** Where LMDB 0.9.9x keeps what in a page that begins a snapshot (`MDB_page_header`, `MDB_meta` in its `mdb.c`). */
const at = { flags: 18, magic: 24, version: 28, pageSize: 48, free: 48, main: 96, lastPage: 144, txn: 152 };
/** … and in what describes a tree (`MDB_db`). */
const inTree = { depth: 6, branches: 8, leaves: 16, overflows: 24, entries: 32, root: 40 };
export const treeBytes = 48;
const headBytes = 168;
const metaFlag = 0x08;
const magic = 0xbe_ef_c0_de;
const noRoot = 0xffff_ffff_ffff_ffffn;
/** The file is made longer by this much more than it has to be, so that it seldom has to be. */
const aheadBytes = 32 * 1024 ** 2;
const smallBytes = 32 * 1024 ** 2;
/** Pages that one write of a row or a mark can make anew: a leaf and those above it, and both halves of what it splits. */
const pagesOfWrite = 12;

/** What a damaged or incomplete store needs; part of every message about one. */
export const cure =
  'nothing was changed in it. Restore a snapshot into an empty directory (isthmus store restore), or copy the whole directory again while no process has it open';

export function damaged(directory: string, what: string, options?: ErrorOptions): StoreDirectoryError {
  return new StoreDirectoryError('damaged', directory, `Store in ${directory} is damaged: ${what}; ${cure}`, options);
}

/**
 * Looks at the file of the tables before LMDB maps it, which would end the process by a signal where pages lie beyond the
 * file's end. Costs two small reads, however large the store is.
 * @param sealed whether the store has answered anybody yet: before that a blank file is a first start that was cut short
 * @throws {StoreDirectoryError} when the file is missing, is no file of LMDB's, or ends too early
 */
export function checkTableFile(directory: string, sealed: boolean): void {
  const path = join(directory, fileName);
  if (!existsSync(path)) {
    if (sealed) throw damaged(directory, `its ${fileName} is missing`);
    return;
  }
  const file = openSync(path, 'r');
  try {
    const size = fstatSync(file).size;
    if (!sealed && blank(file)) {
      // A first start that was cut short, by a power failure say: nobody was answered from it.
      unlinkSync(path);
      return;
    }
    const newest = readNewestHead(file);
    if (!newest) throw damaged(directory, `its ${fileName} does not begin as one`);
    const pages = Math.floor(size / newest.pageSize);
    for (const { root } of [newest.free, newest.main])
      if (root !== noRoot && (root > newest.lastPage || root < 2n))
        throw damaged(directory, `its ${fileName} contradicts itself`);
    // Before it was sealed an older isthmus may have written it, which did not keep the file as long as its pages reach.
    if (sealed && BigInt(pages) <= newest.lastPage)
      throw damaged(
        directory,
        `its ${fileName} has ${pages} pages of ${newest.lastPage + 1n}, as after a copy that was cut short`,
      );
  } finally {
    closeSync(file);
  }
}

/** Whether looking at all pages takes no time that anybody would notice: some 50 ms. */
export function isSmall(directory: string): boolean {
  const file = openSync(join(directory, fileName), 'r');
  try {
    const head = readNewestHead(file);
    return head === undefined || Number(head.lastPage) * head.pageSize <= smallBytes;
  } finally {
    closeSync(file);
  }
}

function blank(file: number): boolean {
  const bytes = Buffer.alloc(2 * headBytes);
  return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, 0)).every((byte) => byte === 0);
}

/** A tree of pages, as a root describes it. */
export interface Tree {
  readonly depth: number;
  readonly branches: bigint;
  readonly leaves: bigint;
  readonly overflows: bigint;
  readonly entries: bigint;
  readonly root: bigint;
}

/** What begins a snapshot. */
export interface Head {
  readonly pageSize: number;
  readonly free: Tree;
  readonly main: Tree;
  readonly lastPage: bigint;
  readonly txn: bigint;
}

export function readTree(bytes: Buffer, start: number): Tree {
  const number = (place: number): bigint => bytes.readBigUInt64LE(start + place);
  return {
    depth: bytes.readUInt16LE(start + inTree.depth),
    branches: number(inTree.branches),
    leaves: number(inTree.leaves),
    overflows: number(inTree.overflows),
    entries: number(inTree.entries),
    root: number(inTree.root),
  };
}

/** The newer of the two, which is the one that LMDB takes; undefined where one is none. */
export function readNewestHead(file: number): Head | undefined {
  const first = readHead(file, 0);
  const second = first && readHead(file, first.pageSize);
  if (!first || !second) return undefined;
  return second.txn > first.txn ? second : first;
}

function readHead(file: number, position: number): Head | undefined {
  const bytes = Buffer.alloc(headBytes);
  if (readSync(file, bytes, 0, headBytes, position) < headBytes) return undefined;
  const pageSize = bytes.readUInt32LE(at.pageSize);
  if ((bytes.readUInt16LE(at.flags) & metaFlag) === 0 || bytes.readUInt32LE(at.magic) !== magic) return undefined;
  if (pageSize < 256 || pageSize > 65_536 || (pageSize & (pageSize - 1)) !== 0) return undefined;
  const [free, main] = [readTree(bytes, at.free), readTree(bytes, at.main)];
  return { pageSize, free, main, lastPage: bytes.readBigUInt64LE(at.lastPage), txn: bytes.readBigUInt64LE(at.txn) };
}

/**
 * Keeps the file of the tables at least as long as its pages reach. LMDB leaves out pages at the end that are free again
 * ("the file may be shorter", `MDB_meta.mm_last_pg`), and then a whole file could not be told from one that was cut. The
 * added length is a hole: it takes no room on the disk.
 */
export class TableFile implements Disposable {
  readonly #file: number;
  #length: number;

  constructor(directory: string) {
    const path = join(directory, fileName);
    // LMDB makes them readable by everybody, and the directory may be one that was there before.
    for (const name of [fileName, lockName]) chmodSync(join(directory, name), 0o600);
    this.#file = openSync(path, 'r+');
    this.#length = fstatSync(this.#file).size;
  }

  /** To be called before a commit of `writes` writes with so many bytes, while `usedBytes` are the pages' up to the last one. */
  makeRoom(usedBytes: number, writes: number, bytes: number, pageSize: number): void {
    const wanted = usedBytes + 3 * bytes + (writes + pagesOfWrite) * pagesOfWrite * pageSize;
    if (wanted <= this.#length) return;
    this.#length = wanted + aheadBytes;
    try {
      ftruncateSync(this.#file, this.#length);
    } catch {
      // A file system without holes that is full: the commit itself will say so, if it needs the room.
      this.#length = 0;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }
}
