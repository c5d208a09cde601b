import type { Random } from '../../runtime/random/index.ts';

/** What may happen to bytes between one who writes them and one who reads them. */
const mutations: readonly [Mutation, ...Mutation[]] = [
  // A bit falls over.
  (bytes, random) => {
    const at = random.int(bytes.length);
    const copy = Buffer.from(bytes);
    copy[at] = (copy[at] ?? 0) ^ (1 << random.int(8));
    return copy;
  },
  // A byte is any other.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    copy[random.int(bytes.length)] = random.pick([0, 1, 0x7f, 0x80, 0xff, random.int(256)]);
    return copy;
  },
  // Something is missing.
  (bytes, random) => {
    const at = random.int(bytes.length);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + random.int(20))]);
  },
  // Something comes twice.
  (bytes, random) => {
    const at = random.int(bytes.length);
    const end = at + 1 + random.int(60);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)]);
  },
  // Something is there that does not belong there: at worst a number that says how much will follow.
  (bytes, random) => {
    const at = random.int(bytes.length);
    const length = 1 + random.int(12);
    const high = random.chance(0.5);
    const strange = Buffer.from(Array.from({ length }, () => (high ? 0xff : random.int(256))));
    return Buffer.concat([bytes.subarray(0, at), strange, bytes.subarray(at)]);
  },
  // The length in front says something else.
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    if (copy.length >= 5) copy.writeUInt32BE(random.pick([0, 1, copy.length, 0xffff_ffff, random.int(1 << 20)]), 1);
    return copy;
  },
];

type Mutation = (bytes: Uint8Array, random: Random) => Buffer;

/** `bytes` after one to five mishaps. */
export function mutate(bytes: Uint8Array, random: Random): Buffer {
  let result = Buffer.from(bytes);
  for (let left = 1 + random.int(5); left > 0 && result.length > 0; left--)
    result = Buffer.from(random.pick(mutations)(result, random));
  return result;
}

/** Cuts bytes at random places, into tiny and large pieces. */
export function* piecesOf(bytes: Uint8Array, random: Random): Generator<Uint8Array, void, void> {
  const most = random.pick([8, 60, 400, 100_000]);
  for (let at = 0; at < bytes.length;) {
    const size = 1 + random.int(most);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}
