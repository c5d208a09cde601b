import { closeSync, openSync, read } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Clock } from '../../runtime/clock/index.ts';
import { metaKeys } from './meta.ts';
import { damagedPage } from './page-check.ts';
import {
  type Compare,
  type Expected,
  type Key,
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
import { type Head, type Tree, fileName, readNewestHead } from './table-file.ts';
import type { Tables } from './table-types.ts';

/** Leaves that are looked at under one snapshot: for longer nothing is kept from being used again. */
const leavesOfRound = 32;
/** At least so long nothing is done between two rounds … */
const pauseMs = 10;
/** … and so many times as long as a round took, on whatever disk. */
const pauses = 9;
/** A page that is wrong is looked at again under another snapshot before anybody is told. */
const looks = 3;
const readAt = promisify(read);

export interface PatrolDependencies {
  readonly tables: Pick<Tables, 'directory' | 'root' | 'meta' | 'checked'>;
  readonly clock: Clock;
}

/**
 * Looks at all pages of a store that is being served, some at a time: with a tenth of a processor at most, without holding
 * the event loop for a disk, and without a snapshot that lasts. What it finds wrong LMDB would have met some day with the
 * end of the process. Unlike `checkPages` it does not count pages and entries, since they change meanwhile.
 * @throws {StoreDirectoryError} for the first page that is wrong
 */
export async function patrolPages(dependencies: PatrolDependencies, signal: AbortSignal): Promise<void> {
  const file = openSync(join(dependencies.tables.directory, fileName), 'r');
  try {
    await new PagePatrol(file, dependencies).run(signal);
  } finally {
    closeSync(file);
  }
}

/** Where to go on. Of two trees the one whose name comes first is looked at first; that of free pages has none. */
interface Place {
  readonly tree: string;
  readonly from: Key | undefined;
}

interface NamedTree {
  readonly name: string;
  readonly tree: Tree;
  readonly txn: bigint;
  readonly compare: Compare;
}

/** A page as it is led to. */
interface Step {
  readonly number: bigint;
  readonly txn: bigint;
  readonly span: Span;
}

class PagePatrol {
  readonly #file: number;
  readonly #dependencies: PatrolDependencies;
  /** A page for each level of the walk, since keys lie in those above. */
  readonly #levels: Buffer[] = [];

  constructor(file: number, dependencies: PatrolDependencies) {
    this.#file = file;
    this.#dependencies = dependencies;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, tables } = this.#dependencies;
    let wrong = 0;
    for (let place: Place | undefined = { tree: '', from: undefined }; place;) {
      const started = clock.monotonicMs();
      try {
        place = await this.#round(place);
        wrong = 0;
      } catch (error) {
        if (!(error instanceof WrongPage)) throw error;
        if (++wrong === looks) throw damagedPage(tables.directory, error);
      }
      await clock.sleep(Math.max(pauseMs, pauses * (clock.monotonicMs() - started)), signal);
    }
  }

  /** Gives where to go on; undefined behind the last page. */
  async #round({ tree: name, from }: Place): Promise<Place | undefined> {
    const { root, meta } = this.#dependencies.tables;
    const transaction = root.useReadTransaction();
    try {
      // Begins it. No page is used again that this snapshot has, or any that comes after it.
      meta.get(metaKeys.revision, { transaction });
      const head = readNewestHead(this.#file);
      if (!head) throw new WrongPage(0, 'does not begin as one');
      const trees = await this.#trees(head);
      const at = trees.findIndex((one) => one.name >= name);
      const now = trees[at];
      if (!now) return undefined;
      const next = await this.#leaves(head, now, now.name === name ? from : undefined);
      if (next) return { tree: now.name, from: copyOf(next) };
      const behind = trees[at + 1];
      return behind && { tree: behind.name, from: undefined };
    } finally {
      transaction.done();
    }
  }

  /** All trees; the one that names them is a single page. */
  async #trees({ free, main, lastPage, pageSize, txn }: Head): Promise<readonly NamedTree[]> {
    const trees: NamedTree[] = [{ name: '', tree: free, txn, compare: byNumber }];
    if (main.root === noRoot) return trees;
    const expected = { page: pageNumber(main.root, lastPage), txn, kind: pageKind.leaf };
    const bytes = await this.#load(0, pageSize, expected);
    const keys = keysOf(expected.page, bytes);
    checkOrder(expected, keys, byBytes, { from: undefined, to: undefined });
    for (const onward of onwardFrom(expected.page, keys)) {
      if (onward.type !== 'tree') continue;
      const { start, end } = onward.key;
      trees.push({
        name: bytes.toString('latin1', start, end),
        tree: onward.tree,
        txn: txnOf(bytes),
        compare: byBytes,
      });
    }
    return trees;
  }

  /** Looks at the leaves from a key on. Gives the first key that was not looked at; undefined at the end of the tree. */
  async #leaves(head: Head, { tree, txn, compare }: NamedTree, from: Key | undefined): Promise<Key | undefined> {
    if (tree.root === noRoot) return undefined;
    let steps: readonly Step[] = [{ number: tree.root, txn, span: { from: undefined, to: undefined } }];
    for (let depth = tree.depth; depth > 1; depth--) {
      const [first] = steps;
      if (first) steps = await this.#down(head, first, tree.depth - depth + 1, compare, from);
    }
    for (const step of steps) await this.#leaf(head, step, tree.depth, compare);
    return steps.at(-1)?.span.to;
  }

  /** The children of a branch from the one that has the key. */
  async #down(
    { lastPage, pageSize }: Head,
    { number, txn, span }: Step,
    level: number,
    compare: Compare,
    from: Key | undefined,
  ): Promise<readonly Step[]> {
    const expected = { page: pageNumber(number, lastPage), txn, kind: pageKind.branch };
    const bytes = await this.#load(level, pageSize, expected);
    const keys = keysOf(expected.page, bytes);
    checkOrder(expected, keys, compare, span);
    const own = txnOf(bytes);
    const behind = from ? keys.findIndex((key, i) => i > 0 && compare(key, from) > 0) : 1;
    const begin = (behind === -1 ? keys.length : behind) - 1;
    return keys.slice(begin, begin + leavesOfRound).map((key, i) => ({
      number: childOf(key),
      txn: own,
      span: { from: begin + i === 0 ? span.from : key, to: keys[begin + i + 1] ?? span.to },
    }));
  }

  async #leaf(
    { lastPage, pageSize }: Head,
    { number, txn, span }: Step,
    level: number,
    compare: Compare,
  ): Promise<void> {
    const expected = { page: pageNumber(number, lastPage), txn, kind: pageKind.leaf };
    const bytes = await this.#load(level, pageSize, expected);
    const keys = keysOf(expected.page, bytes);
    checkOrder(expected, keys, compare, span);
    const own = txnOf(bytes);
    for (const onward of onwardFrom(expected.page, keys)) {
      // Within one of ours there is no other.
      if (onward.type === 'tree') throw new WrongPage(expected.page, 'has a tree where none can be');
      const page = pageNumber(onward.page, lastPage);
      const first = await this.#load(level + 1, pageSize, { page, txn: own, kind: pageKind.overflow });
      pagesOfValue(page, first, onward.length);
    }
  }

  /** By a thread, which may wait for the disk. */
  async #load(level: number, pageSize: number, expected: Expected): Promise<Buffer> {
    const bytes = (this.#levels[level] ??= Buffer.alloc(pageSize));
    const { bytesRead } = await readAt(this.#file, bytes, 0, pageSize, expected.page * pageSize);
    checkSelf(bytes, bytesRead, expected);
    return bytes;
  }
}

/** Its page will be read over. */
function copyOf({ bytes, start, end }: Key): Key {
  const copy = Buffer.from(bytes.subarray(start, end));
  return { bytes: copy, start: 0, end: copy.length };
}
