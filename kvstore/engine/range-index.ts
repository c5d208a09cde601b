import { type Span, keyText } from './span.ts';

/**
 * Finds the items whose range contains a key without looking at the others: single keys by a map, ranges by a tree ordered
 * by their start, each node of which knows the furthest end below it (an interval tree, balanced by random priorities).
 */
export class RangeIndex<T> {
  readonly #singles = new Map<string, Set<T>>();
  #root: Node<T> | undefined;

  add(span: Span, item: T): void {
    const start = keyText(span.start);
    if (!span.single) this.#root = insert(this.#root, start, endOf(span), item);
    else {
      const items = this.#singles.get(start);
      if (items) items.add(item);
      else this.#singles.set(start, new Set([item]));
    }
  }

  delete(span: Span, item: T): void {
    const start = keyText(span.start);
    if (!span.single) this.#root = remove(this.#root, start, endOf(span), item);
    else {
      const items = this.#singles.get(start);
      items?.delete(item);
      if (items?.size === 0) this.#singles.delete(start);
    }
  }

  at(key: Uint8Array): T[] {
    if (this.#singles.size === 0 && !this.#root) return [];
    const text = keyText(key);
    const found = [...(this.#singles.get(text) ?? [])];
    collect(this.#root, text, found);
    return found;
  }
}

interface Node<T> {
  readonly start: string;
  readonly end: string;
  readonly items: Set<T>;
  readonly priority: number;
  /** The furthest end of this node and all below it. */
  reach: string;
  left: Node<T> | undefined;
  right: Node<T> | undefined;
}

/** Behind every key: the texts of keys have characters up to 255 only. */
const afterAll = '\u0100';

function endOf(span: Span): string {
  return span.end ? keyText(span.end) : afterAll;
}

function collect<T>(node: Node<T> | undefined, key: string, found: T[]): void {
  if (!node || node.reach <= key) return;
  collect(node.left, key, found);
  if (node.start > key) return;
  if (key < node.end) found.push(...node.items);
  collect(node.right, key, found);
}

function insert<T>(node: Node<T> | undefined, start: string, end: string, item: T): Node<T> {
  if (!node) {
    const priority = Math.random();
    return { start, end, items: new Set([item]), priority, reach: end, left: undefined, right: undefined };
  }
  if (start === node.start && end === node.end) {
    node.items.add(item);
    return node;
  }
  if (isBefore(start, end, node)) {
    const left = insert(node.left, start, end, item);
    node.left = left;
    if (left.priority > node.priority) return lift(left, node, 'left');
  } else {
    const right = insert(node.right, start, end, item);
    node.right = right;
    if (right.priority > node.priority) return lift(right, node, 'right');
  }
  return measured(node);
}

function remove<T>(node: Node<T> | undefined, start: string, end: string, item: T): Node<T> | undefined {
  if (!node) return undefined;
  if (start === node.start && end === node.end) {
    node.items.delete(item);
    return node.items.size > 0 ? node : joined(node.left, node.right);
  }
  if (isBefore(start, end, node)) node.left = remove(node.left, start, end, item);
  else node.right = remove(node.right, start, end, item);
  return measured(node);
}

/** Puts a child in the place of its parent. */
function lift<T>(child: Node<T>, parent: Node<T>, side: 'left' | 'right'): Node<T> {
  const other = side === 'left' ? 'right' : 'left';
  parent[side] = child[other];
  child[other] = measured(parent);
  return measured(child);
}

/** One tree of two, all of the first lying before the second. */
function joined<T>(first: Node<T> | undefined, second: Node<T> | undefined): Node<T> | undefined {
  if (!first || !second) return first ?? second;
  if (first.priority > second.priority) {
    first.right = joined(first.right, second);
    return measured(first);
  }
  second.left = joined(first, second.left);
  return measured(second);
}

function measured<T>(node: Node<T>): Node<T> {
  node.reach = node.end;
  if (node.left && node.left.reach > node.reach) node.reach = node.left.reach;
  if (node.right && node.right.reach > node.reach) node.reach = node.right.reach;
  return node;
}

function isBefore<T>(start: string, end: string, node: Node<T>): boolean {
  return start === node.start ? end < node.end : start < node.start;
}
