/** What a key of the source is now, or that it is gone. */
export interface Wish {
  readonly key: Uint8Array;
  /** Absent: the key is gone. */
  readonly value: Uint8Array | undefined;
  /** Whether a lease holds it in the source: then one of ours holds it in the target. */
  readonly leased: boolean;
}

/** A wish with what the target has to hold for it to be carried out. */
export interface Step {
  readonly wish: Wish;
  /** The key as a map can have it; keys are bytes. */
  readonly text: string;
  /** Revision that the target's key has to have; 0 for none. */
  readonly expected: number;
}

/**
 * Consul takes 128 operations in a transaction, and 512 KiB as base64. A key that another lease holds, as after a copier that
 * was killed, needs three: a check, and the verbs that take it from the one lease and give it to the other. A record of what
 * is brought comes with them.
 */
const maxSteps = 40;
export const maxBytes = 256 * 1024;

/** The key of a map for the bytes of a key. */
export function keyTextOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('latin1');
}

/** Cuts steps into parts that each fit into one transaction of every kind of store. */
export function* partsOf(steps: readonly Step[]): Generator<Step[], void, void> {
  let part: Step[] = [];
  let bytes = 0;
  for (const step of steps) {
    const size = sizeOf(step);
    if (part.length > 0 && (part.length >= maxSteps || bytes + size > maxBytes)) {
      yield part;
      part = [];
      bytes = 0;
    }
    part.push(step);
    bytes += size;
  }
  if (part.length > 0) yield part;
}

/** What steps take in a transaction, about. */
export function bytesOf(steps: readonly Step[]): number {
  return steps.reduce((bytes, step) => bytes + sizeOf(step), 0);
}

function sizeOf({ wish }: Step): number {
  return wish.key.length + (wish.value?.length ?? 0) + 64;
}

/** The last wish of each key, where a batch holds several. */
export function lastOfEach(wishes: Iterable<Wish>): Wish[] {
  const last = new Map<string, Wish>();
  for (const wish of wishes) last.set(keyTextOf(wish.key), wish);
  return [...last.values()];
}
