import { type Tree, readTree, treeBytes } from './table-file.ts';

/** LMDB 0.9.9x, `MDB_page_header`: what lies where in a page. Places of entries count from the end of the header. */
const at = { page: 0, txn: 8, flags: 18, lower: 20, upper: 22, pages: 20 };
const headerBytes = 24;
const nodeBytes = 8;
export const pageKind = { branch: 0x01, leaf: 0x02, overflow: 0x04 } as const;
/** Flags that say what a page is; others are for pages in memory. */
const kinds = 0x6f;
const nodeFlags = { longValue: 0x01, tree: 0x02 };
/** Instead of the root of a tree without pages. */
export const noRoot = 0xffff_ffff_ffff_ffffn;
const contradiction = 'contradicts itself';

/** A page that LMDB cannot have left so. */
export class WrongPage extends Error {
  readonly page: number;

  constructor(page: number, what: string) {
    super(what);
    this.page = page;
  }
}

/** A key where it lies. */
export interface Key {
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
}

/** Keys from `from` on, up to but not `to`. */
export interface Span {
  readonly from: Key | undefined;
  readonly to: Key | undefined;
}

export type Compare = (a: Key, b: Key) => number;

export const byBytes: Compare = (a, b) => a.bytes.compare(b.bytes, b.start, b.end, a.start, a.end);
/** The tree of free pages has numbers of transactions for keys. */
export const byNumber: Compare = (a, b) => (numberIn(a) < numberIn(b) ? -1 : numberIn(a) > numberIn(b) ? 1 : 0);

/** What leads to a page says of it. */
export interface Expected {
  readonly page: number;
  /** Of the page that leads here: whoever changes a page writes those above it anew. */
  readonly txn: bigint;
  readonly kind: number;
}

/** @throws {WrongPage} for a number that no page of ours can have */
export function pageNumber(number: bigint, lastPage: bigint): number {
  const page = Number(number);
  if (number < 2n || number > lastPage) throw new WrongPage(page, 'is asked for, and there is none');
  return page;
}

/** @param length bytes that were there to be read @throws {WrongPage} when it is not what leads to it says */
export function checkSelf(bytes: Buffer, length: number, { page, txn, kind }: Expected): void {
  if (length < bytes.length) throw new WrongPage(page, 'lies behind its end');
  if (bytes.readBigUInt64LE(at.page) !== BigInt(page)) throw new WrongPage(page, 'is blank, or another one');
  if (txnOf(bytes) > txn)
    throw new WrongPage(page, 'is younger than what leads to it, as in a copy that was made while it was written');
  if ((bytes.readUInt16LE(at.flags) & kinds) !== kind)
    throw new WrongPage(page, 'is of another kind than its place asks for');
}

export function txnOf(bytes: Buffer): bigint {
  return bytes.readBigUInt64LE(at.txn);
}

/** Where the keys of a page lie: each behind what says of its value how long it is. @throws {WrongPage} */
export function keysOf(page: number, bytes: Buffer): Key[] {
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

/** The first key of a branch is never looked at, and may be anything. @throws {WrongPage} */
export function checkOrder(
  { page, kind }: Pick<Expected, 'page' | 'kind'>,
  keys: readonly Key[],
  compare: Compare,
  { from, to }: Span,
): void {
  let before = from;
  for (let i = kind === pageKind.branch ? 1 : 0; i < keys.length; i++) {
    const key = keys[i];
    if (!key) continue;
    const order = before === undefined ? 1 : compare(key, before);
    if (order < 0 || (order === 0 && before !== from)) throw new WrongPage(page, 'has its keys in another order');
    before = key;
  }
  if (to !== undefined && before !== undefined && compare(before, to) >= 0)
    throw new WrongPage(page, 'has its keys in another order');
}

/** The page that a key of a branch leads to. */
export function childOf({ bytes, start }: Key): bigint {
  const node = start - nodeBytes;
  return BigInt(bytes.readUInt32LE(node)) | (BigInt(bytes.readUInt16LE(node + 4)) << 32n);
}

/** What a leaf leads to: a value that has pages of its own, or another tree. */
export type Onward =
  | { readonly type: 'long'; readonly page: bigint; readonly length: number }
  | { readonly type: 'tree'; readonly key: Key; readonly tree: Tree };

/** @throws {WrongPage} when a value does not lie within its page */
export function* onwardFrom(page: number, keys: readonly Key[]): Generator<Onward, void, void> {
  for (const key of keys) {
    const { bytes, start, end } = key;
    const length = bytes.readUInt32LE(start - nodeBytes);
    const flags = bytes.readUInt16LE(start - nodeBytes + 4);
    const here = flags & nodeFlags.longValue ? 8 : length;
    if (end + here > bytes.length) throw new WrongPage(page, contradiction);
    if (flags & nodeFlags.longValue) yield { type: 'long', page: bytes.readBigUInt64LE(end), length };
    else if (flags & nodeFlags.tree) {
      if (length !== treeBytes) throw new WrongPage(page, contradiction);
      yield { type: 'tree', key, tree: readTree(bytes, end) };
    }
  }
}

/** How many pages a long value takes, by the first of them. @throws {WrongPage} when it does not fit into so many */
export function pagesOfValue(page: number, first: Buffer, length: number): number {
  const pages = first.readUInt32LE(at.pages);
  if (pages * first.length < headerBytes + length) throw new WrongPage(page, 'is shorter than its value');
  return pages;
}

function numberIn({ bytes, start, end }: Key): bigint {
  return end - start === 8 ? bytes.readBigUInt64LE(start) : 0n;
}
