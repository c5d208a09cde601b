import { prefixText } from '../keys.ts';

interface Part {
  readonly prefix: string;
  readonly from: number;
  readonly to: number;
}

/**
 * Sub-prefixes that cover all of `names` and of which none begins with another: at most `limit`, of about equal size.
 * Names may lack the evenness for it; what cannot be cut stays one part. Pure.
 * @param names sorted, all beginning with `prefix`
 * @param smallest a part of no more names than this is not cut
 */
export function planShards(prefix: string, names: readonly string[], limit: number, smallest: number): string[] {
  const open: Part[] = [{ prefix, from: 0, to: names.length }];
  const done: Part[] = [];
  for (;;) {
    open.sort((a, b) => a.to - a.from - (b.to - b.from));
    const part = open.pop();
    if (!part) break;
    const cut = part.to - part.from > smallest ? cutPart(part, names) : [];
    if (cut.length > 0 && open.length + done.length + cut.length <= limit) open.push(...cut);
    else done.push(part);
  }
  return done.map((part) => part.prefix).toSorted();
}

/** The parts by the character after what all names of a part share; none where it cannot be cut. */
function cutPart({ from, to }: Part, names: readonly string[]): Part[] {
  const shared = sharedPrefix(names[from] ?? '', names[to - 1] ?? '');
  // A name that is all of it belongs to none of the parts.
  if (names[from] === shared) return [];
  const parts: Part[] = [];
  for (let at = from; at < to;) {
    const prefix = extended(names[at] ?? '', shared.length);
    const end = endOfRun(names, prefix, at, to);
    if (!isAskable(prefix)) return [];
    parts.push({ prefix, from: at, to: end });
    at = end;
  }
  return parts;
}

/** Index of the first name from `from` on that does not begin with `prefix`. */
function endOfRun(names: readonly string[], prefix: string, from: number, to: number): number {
  for (let at = from; at < to; at++) if (names[at]?.startsWith(prefix) !== true) return at;
  return to;
}

/** The disjoint sub-prefixes of a prefix, and which of them a name belongs to. */
export class ShardMap<T> {
  readonly #prefix: string;
  readonly #parts = new Map<string, T>();
  #sorted: string[] = [];

  constructor(prefix: string, parts: Iterable<readonly [string, T]>) {
    this.#prefix = prefix;
    this.#parts = new Map(parts);
    this.#sorted = [...this.#parts.keys()].sort();
  }

  get size(): number {
    return this.#parts.size;
  }

  values(): Iterable<T> {
    return this.#parts.values();
  }

  partOf(name: string): T | undefined {
    const prefix = this.#before(name);
    return prefix !== undefined && name.startsWith(prefix) ? this.#parts.get(prefix) : undefined;
  }

  /** A sub-prefix for a name that has none; undefined where there can be none that is apart from the others. */
  placeFor(name: string): string | undefined {
    const at = this.#indexAfter(name);
    const near = [this.#sorted[at - 1], this.#sorted[at]];
    const shared = Math.max(this.#prefix.length, ...near.map((part) => sharedPrefix(part ?? '', name).length));
    if (shared >= name.length) return undefined;
    const place = extended(name, shared);
    const next = this.#sorted[this.#indexAfter(place)];
    return isAskable(place) && next?.startsWith(place) !== true && !this.#parts.has(place) ? place : undefined;
  }

  add(prefix: string, part: T): void {
    this.#parts.set(prefix, part);
    this.#sorted = [...this.#parts.keys()].sort();
  }

  remove(prefix: string): void {
    this.#parts.delete(prefix);
    this.#sorted = [...this.#parts.keys()].sort();
  }

  #before(name: string): string | undefined {
    return this.#sorted[this.#indexAfter(name) - 1];
  }

  /** Index of the first sub-prefix beyond a name. */
  #indexAfter(name: string): number {
    let low = 0;
    let high = this.#sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#sorted[middle] ?? '') <= name) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function sharedPrefix(a: string, b: string): string {
  let at = 0;
  while (at < a.length && at < b.length && a.charCodeAt(at) === b.charCodeAt(at)) at += 1;
  // Never half of a surrogate pair: Consul takes UTF-8.
  const last = a.charCodeAt(at - 1);
  return a.slice(0, last >= 0xd800 && last < 0xdc00 ? at - 1 : at);
}

/** The first `length` units of a name and the character after them. */
function extended(name: string, length: number): string {
  return name.slice(0, length) + String.fromCodePoint(name.codePointAt(length) ?? 0);
}

/** Consul refuses some texts, as those that end with a space. */
function isAskable(prefix: string): boolean {
  try {
    return prefixText(prefix) === prefix;
  } catch {
    return false;
  }
}
