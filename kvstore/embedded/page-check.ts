import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { StoreDirectoryError } from './directory-error.ts';
import { type Head, type Tree, damaged, fileName, readNewestHead, readTree, treeBytes } from './table-file.ts';

/** LMDB 0.9.9x, `MDB_page_header`: what lies where in a page. Places of entries count from the end of the header. */
const at = { page: 0, txn: 8, flags: 18, lower: 20, upper: 22, pages: 20 };
const headerBytes = 24;
const nodeBytes = 8;
const pageFlags = { branch: 0x01, leaf: 0x02, overflow: 0x04 };
/** Flags that say what a page is; others are for pages in memory. */
const kinds = 0x6f;
const nodeFlags = { longValue: 0x01, tree: 0x02 };
const noRoot = 0xffff_ffff_ffff_ffffn;
/** Pages between two turns of the event loop. */
const pagesPerTurn = 2000;
const contradiction = 'contradicts itself';

/**
 * Reads every page that the newest snapshot of the tables consists of, and refuses what LMDB cannot have left so. LMDB
 * takes pages as they come: over a wrong one it ends the process, or answers from what belongs to another time. Pages of
 * one snapshot name themselves, stand in one place, are no younger than what leads to them (in a copy that was made while
 * the store was written some are), hold keys in order and between those of the pages above, and are as many, with as many
 * entries, as their tree says. What stands within a value nobody can check: there are no checksums.
 * @throws {StoreDirectoryError} for the first page that is wrong
 */
export async function checkPages(directory: string): Promise<void> {
  const path = join(directory, fileName);
  const file = openSync(path, 'r');
  try {
    const head = readNewestHead(file);
    if (!head) throw damaged(directory, `its ${fileName} does not begin as one`);
    await new PageCheck(file, head).run().catch((error: unknown) => {
      if (!(error instanceof WrongPage)) throw error;
      // Somebody whose lock was removed by hand lives on: pages that change under the reader are no damage.
      if (readNewestHead(file)?.txn !== head.txn) throw written(directory);
      throw damaged(directory, `page ${error.page} of its ${fileName} ${error.message}`);
    });
  } finally {
    closeSync(file);
  }
}

function written(directory: string): StoreDirectoryError {
  return new StoreDirectoryError(
    'in-use',
    directory,
    `Store in ${directory} is written by another process, whose lock was removed; stop it first or choose another data directory`,
  );
}

class WrongPage extends Error {
  readonly page: number;

  constructor(page: number, what: string) {
    super(what);
    this.page = page;
  }
}

/** A key where it lies. */
interface Key {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Keys from `from` on, up to but not `to`. */
interface Span {
  readonly from: Key | undefined;
  readonly to: Key | undefined;
}

/** What the pages of a tree have in common, and what was found in it so far. */
interface Walk {
  readonly compare: Compare;
  branches: number;
  leaves: number;
  overflows: number;
  entries: number;
}

type Compare = (a: Key, b: Key) => number;

const byBytes: Compare = (a, b) => a.bytes.compare(b.bytes, b.start, b.end, a.start, a.end);
/** The tree of free pages has numbers of transactions for keys. */
const byNumber: Compare = (a, b) => (numberIn(a) < numberIn(b) ? -1 : numberIn(a) > numberIn(b) ? 1 : 0);

class PageCheck {
  readonly #file: number;
  readonly #head: Head;
  /** A bit for each page that was found. */
  readonly #found: Uint8Array;
  /** A page for each level of the walk: those above are still needed. */
  readonly #levels: Buffer[] = [];
  /** The first page of a long value. */
  readonly #first: Buffer;
  #read = 0;

  constructor(file: number, head: Head) {
    this.#file = file;
    this.#head = head;
    this.#first = Buffer.alloc(head.pageSize);
    this.#found = new Uint8Array(Number(head.lastPage >> 3n) + 1);
  }

  async run(): Promise<void> {
    const { free, main, txn } = this.#head;
    await this.#tree(free, txn, 0, 0, byNumber);
    await this.#tree(main, txn, 0, 0, byBytes);
  }

  /** @param origin the page that describes the tree */
  async #tree(tree: Tree, txn: bigint, origin: number, level: number, compare: Compare): Promise<void> {
    const walk: Walk = { compare, branches: 0, leaves: 0, overflows: 0, entries: 0 };
    if (tree.root !== noRoot)
      await this.#visit(walk, tree.root, txn, tree.depth, level, { from: undefined, to: undefined });
    for (const what of ['branches', 'leaves', 'overflows', 'entries'] as const)
      if (BigInt(walk[what]) !== tree[what])
        throw new WrongPage(origin, `speaks of ${tree[what]} ${what} where there are ${walk[what]}`);
  }

  /**
   * @param txn of the page that leads here: whoever changes a page writes those above it anew
   * @param depth levels of the tree from here down, this one included
   */
  async #visit(walk: Walk, number: bigint, txn: bigint, depth: number, level: number, span: Span): Promise<void> {
    if (++this.#read % pagesPerTurn === 0) await turn();
    const page = this.#take(number);
    const bytes = (this.#levels[level] ??= Buffer.alloc(this.#head.pageSize));
    this.#load(page, bytes, txn, depth > 1 ? pageFlags.branch : pageFlags.leaf);
    const own = bytes.readBigUInt64LE(at.txn);
    const keys = keysOf(page, bytes);
    checkOrder(page, keys, walk.compare, span, depth > 1);
    if (depth > 1) {
      walk.branches += 1;
      for (let i = 0; i < keys.length; i++) {
        const start = (keys[i]?.start ?? 0) - nodeBytes;
        const child = BigInt(bytes.readUInt32LE(start)) | (BigInt(bytes.readUInt16LE(start + 4)) << 32n);
        const within = { from: i === 0 ? span.from : keys[i], to: keys[i + 1] ?? span.to };
        await this.#visit(walk, child, own, depth - 1, level + 1, within);
      }
      return;
    }
    walk.leaves += 1;
    walk.entries += keys.length;
    for (const { start, end } of keys) {
      const length = bytes.readUInt32LE(start - nodeBytes);
      const flags = bytes.readUInt16LE(start - nodeBytes + 4);
      const here = flags & nodeFlags.longValue ? 8 : length;
      if (end + here > bytes.length) throw new WrongPage(page, contradiction);
      if (flags & nodeFlags.longValue) walk.overflows += this.#longValue(bytes.readBigUInt64LE(end), length, own);
      else if (flags & nodeFlags.tree) {
        if (length !== treeBytes) throw new WrongPage(page, contradiction);
        await this.#tree(readTree(bytes, end), own, page, level + 1, byBytes);
      }
    }
  }

  /** How many pages it takes. */
  #longValue(number: bigint, length: number, txn: bigint): number {
    const page = this.#take(number);
    this.#load(page, this.#first, txn, pageFlags.overflow);
    const pages = this.#first.readUInt32LE(at.pages);
    if (pages * this.#head.pageSize < headerBytes + length) throw new WrongPage(page, 'is shorter than its value');
    for (let i = 1; i < pages; i++) this.#take(number + BigInt(i));
    return pages;
  }

  /** A page stands in one place. */
  #take(number: bigint): number {
    const page = Number(number);
    if (number < 2n || number > this.#head.lastPage) throw new WrongPage(page, 'is asked for, and there is none');
    const [place, bit] = [page >>> 3, 1 << (page & 7)];
    if ((this.#found[place] ?? 0) & bit) throw new WrongPage(page, 'stands in two places');
    this.#found[place] = (this.#found[place] ?? 0) | bit;
    return page;
  }

  #load(page: number, bytes: Buffer, txn: bigint, kind: number): void {
    if (readSync(this.#file, bytes, 0, bytes.length, page * bytes.length) < bytes.length)
      throw new WrongPage(page, 'lies behind its end');
    if (bytes.readBigUInt64LE(at.page) !== BigInt(page)) throw new WrongPage(page, 'is blank, or another one');
    if (bytes.readBigUInt64LE(at.txn) > txn)
      throw new WrongPage(page, 'is younger than what leads to it, as in a copy that was made while it was written');
    if ((bytes.readUInt16LE(at.flags) & kinds) !== kind)
      throw new WrongPage(page, 'is of another kind than its place asks for');
  }
}

/** Where the keys of a page lie: each behind what says of its value how long it is. */
function keysOf(page: number, bytes: Buffer): Key[] {
  const [lower, upper] = [bytes.readUInt16LE(at.lower), bytes.readUInt16LE(at.upper)];
  if (lower === 0 || lower % 2 !== 0 || lower > upper || headerBytes + upper > bytes.length)
    throw new WrongPage(page, contradiction);
  const keys: Key[] = [];
  for (let place = headerBytes; place < headerBytes + lower; place += 2) {
    const node = headerBytes + bytes.readUInt16LE(place);
    const start = node + nodeBytes;
    if (node < headerBytes + upper || start > bytes.length) throw new WrongPage(page, contradiction);
    const end = start + bytes.readUInt16LE(node + 6);
    if (end > bytes.length) throw new WrongPage(page, contradiction);
    keys.push({ bytes, start, end });
  }
  return keys;
}

/** The first key of a branch is never looked at, and may be anything. */
function checkOrder(page: number, keys: readonly Key[], compare: Compare, { from, to }: Span, branch: boolean): void {
  let before = from;
  for (let i = branch ? 1 : 0; i < keys.length; i++) {
    const key = keys[i];
    if (!key) continue;
    const order = before === undefined ? 1 : compare(key, before);
    if (order < 0 || (order === 0 && before !== from)) throw new WrongPage(page, 'has its keys in another order');
    before = key;
  }
  if (to !== undefined && before !== undefined && compare(before, to) >= 0)
    throw new WrongPage(page, 'has its keys in another order');
}

function numberIn({ bytes, start, end }: Key): bigint {
  return end - start === 8 ? bytes.readBigUInt64LE(start) : 0n;
}
