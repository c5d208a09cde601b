import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { StoreDirectoryError } from './directory-error.ts';
import {
  type Compare,
  type Expected,
  type Span,
  WrongPage,
  byBytes,
  byNumber,
  checkOrder,
  checkSelf,
  childOf,
  keysOf,
  noRoot,
  onwardFrom,
  pageKind,
  pageNumber,
  pagesOfValue,
  txnOf,
} from './page.ts';
import { type Head, type Tree, damaged, fileName, readNewestHead } from './table-file.ts';

/** Pages between two turns of the event loop. */
const pagesPerTurn = 2000;

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
      throw damagedPage(directory, error);
    });
  } finally {
    closeSync(file);
  }
}

export function damagedPage(directory: string, { page, message }: WrongPage): StoreDirectoryError {
  return damaged(directory, `page ${page} of its ${fileName} ${message}`);
}

function written(directory: string): StoreDirectoryError {
  return new StoreDirectoryError(
    'in-use',
    directory,
    `Store in ${directory} is written by another process, whose lock was removed; stop it first or choose another data directory`,
  );
}

/** What the pages of a tree have in common, and what was found in it so far. */
interface Walk {
  readonly compare: Compare;
  branches: number;
  leaves: number;
  overflows: number;
  entries: number;
}

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

  /** @param depth levels of the tree from here down, this one included */
  async #visit(walk: Walk, number: bigint, txn: bigint, depth: number, level: number, span: Span): Promise<void> {
    if (++this.#read % pagesPerTurn === 0) await turn();
    const kind = depth > 1 ? pageKind.branch : pageKind.leaf;
    const expected = { page: this.#take(number), txn, kind };
    const bytes = (this.#levels[level] ??= Buffer.alloc(this.#head.pageSize));
    this.#load(bytes, expected);
    const own = txnOf(bytes);
    const keys = keysOf(expected.page, bytes);
    checkOrder(expected, keys, walk.compare, span);
    if (depth > 1) {
      walk.branches += 1;
      for (const [i, key] of keys.entries()) {
        const within = { from: i === 0 ? span.from : key, to: keys[i + 1] ?? span.to };
        await this.#visit(walk, childOf(key), own, depth - 1, level + 1, within);
      }
      return;
    }
    walk.leaves += 1;
    walk.entries += keys.length;
    for (const onward of onwardFrom(expected.page, keys))
      if (onward.type === 'long') walk.overflows += this.#longValue(onward.page, onward.length, own);
      else await this.#tree(onward.tree, own, expected.page, level + 1, byBytes);
  }

  /** How many pages it takes. */
  #longValue(number: bigint, length: number, txn: bigint): number {
    const page = this.#take(number);
    this.#load(this.#first, { page, txn, kind: pageKind.overflow });
    const pages = pagesOfValue(page, this.#first, length);
    for (let i = 1; i < pages; i++) this.#take(number + BigInt(i));
    return pages;
  }

  /** A page stands in one place. */
  #take(number: bigint): number {
    const page = pageNumber(number, this.#head.lastPage);
    const [place, bit] = [page >>> 3, 1 << (page & 7)];
    if ((this.#found[place] ?? 0) & bit) throw new WrongPage(page, 'stands in two places');
    this.#found[place] = (this.#found[place] ?? 0) | bit;
    return page;
  }

  #load(bytes: Buffer, expected: Expected): void {
    checkSelf(bytes, readSync(this.#file, bytes, 0, bytes.length, expected.page * bytes.length), expected);
  }
}
