import type { Clock } from '../../runtime/clock/index.ts';
import { type Bytes, InvalidRequestError, type KeyValue, type Store } from '../contract/index.ts';
import { isCopyRecord } from './copier-leases.ts';
import { isLock } from './lock-keys.ts';
import { keyTextOf } from './wish.ts';

export type DifferenceKind = 'only-in-a' | 'only-in-b' | 'different';

export interface Difference {
  readonly key: Uint8Array;
  readonly kind: DifferenceKind;
}

export interface CompareOptions {
  readonly a: Pick<Store, 'list' | 'transact'>;
  readonly b: Pick<Store, 'list' | 'transact'>;
  readonly prefix: Bytes;
  /** Differences are looked at again for so long: what is on its way from one store to the other is none. */
  readonly settleMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told of keys compared so far. */
  readonly onProgress?: (compared: number) => void;
}

export interface Comparison {
  readonly keysInA: number;
  readonly keysInB: number;
  /** In byte order of their keys. */
  readonly differences: readonly Difference[];
}

/** More differences than this are not on their way. */
const maxSettling = 10_000;
const getsAtOnce = 60;
const pauseMs = 100;

/** Compares keys and values (not revisions and leases, which differ from store to store) of two stores. */
export async function compareStores(options: CompareOptions): Promise<Comparison> {
  const found: Difference[] = [];
  const counts = { a: 0, b: 0 };
  const left = new Cursor(options.a, options);
  const right = new Cursor(options.b, options);
  let [a, b] = await Promise.all([left.next(), right.next()]);
  while (a || b) {
    const order = !a ? 1 : !b ? -1 : Buffer.compare(a.key, b.key);
    if (a && order < 0) found.push({ key: new Uint8Array(a.key), kind: 'only-in-a' });
    else if (b && order > 0) found.push({ key: new Uint8Array(b.key), kind: 'only-in-b' });
    else if (a && b && Buffer.compare(a.value, b.value) !== 0)
      found.push({ key: new Uint8Array(a.key), kind: 'different' });
    if (order <= 0) {
      counts.a += 1;
      if (counts.a % 1000 === 0) options.onProgress?.(counts.a);
      a = left.take() ?? (await left.next());
    }
    if (order >= 0) {
      counts.b += 1;
      b = right.take() ?? (await right.next());
    }
  }
  const differences = found.length > maxSettling ? found : await settle(found, options);
  return { keysInA: counts.a, keysInB: counts.b, differences };
}

/** The entries of a listing, one by one. */
class Cursor {
  readonly #pages: AsyncIterator<{ readonly entries: readonly KeyValue[] }>;
  #entries: readonly KeyValue[] = [];
  #at = 0;

  constructor(store: Pick<Store, 'list'>, { prefix, signal }: CompareOptions) {
    this.#pages = store.list(prefix, { signal })[Symbol.asyncIterator]();
  }

  /** An entry that is here already: most are, and waiting for each would cost more than comparing it. */
  take(): KeyValue | undefined {
    for (;;) {
      const entry = this.#entries[this.#at];
      if (!entry) return undefined;
      this.#at += 1;
      if (!isCopyRecord(entry.key) && !isLock(entry)) return entry;
    }
  }

  async next(): Promise<KeyValue | undefined> {
    for (;;) {
      const entry = this.take();
      if (entry) return entry;
      const page = await this.#pages.next();
      if (page.done) return undefined;
      this.#entries = page.value.entries;
      this.#at = 0;
    }
  }
}

/** What remains different for `settleMs`. A key that changes all the time is equal if B has what A had a moment ago. */
async function settle(found: readonly Difference[], options: CompareOptions): Promise<readonly Difference[]> {
  const { a, b, clock, signal, settleMs } = options;
  const until = clock.monotonicMs() + settleMs;
  const seenInA = new Map<string, Set<string>>();
  let open = found;
  while (open.length > 0 && clock.monotonicMs() < until) {
    const next: Difference[] = [];
    for (let at = 0; at < open.length; at += getsAtOnce) {
      const part = open.slice(at, at + getsAtOnce);
      const keys = part.map(({ key }) => key);
      const inA = await getAll(a, keys, signal);
      const inB = await getAll(b, keys, signal);
      for (const [i, { key }] of part.entries()) {
        const text = keyTextOf(key);
        const seen = seenInA.get(text) ?? new Set();
        seenInA.set(text, seen.add(stateOf(inA[i])));
        if (!seen.has(stateOf(inB[i])))
          next.push({ key, kind: !inA[i] ? 'only-in-b' : !inB[i] ? 'only-in-a' : 'different' });
      }
    }
    open = next;
    if (open.length > 0) await clock.sleep(pauseMs, signal);
  }
  return open;
}

async function getAll(
  store: Pick<Store, 'transact'>,
  keys: readonly Uint8Array[],
  signal: AbortSignal,
): Promise<readonly (KeyValue | undefined)[]> {
  const then = keys.map((key) => ({ type: 'get', key }) as const);
  try {
    const { results } = await store.transact({ when: [], then }, { signal });
    return results.map((result) => (result.type === 'get' ? result.entry : undefined));
  } catch (error) {
    if (!(error instanceof InvalidRequestError)) throw error;
    // A key that this store cannot hold is not in it; which one that is has to be found out.
    if (keys.length <= 1) return [undefined];
    const half = keys.length >> 1;
    return [...(await getAll(store, keys.slice(0, half), signal)), ...(await getAll(store, keys.slice(half), signal))];
  }
}

function stateOf(entry: KeyValue | undefined): string {
  return entry ? `=${keyTextOf(entry.value)}` : '';
}
