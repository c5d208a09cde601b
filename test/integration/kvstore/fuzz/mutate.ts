import { encodeFrame, methods } from '../../../../kvstore/etcd/wire/index.ts';
import type { Random } from '../../../../runtime/random/index.ts';
import { type Operation, randomOperation } from '../differential/operation.ts';

/** One call as it goes on the wire: mostly wrong in one way or another. */
export interface FuzzedCall {
  readonly path: string;
  readonly body: Buffer;
}

const frameHead = 5;
const maxBody = 64 * 1024;
const known = { revision: 1000, compactRevision: 10, awaited: 0 };
const everyPath = Object.values(methods).map(({ path }) => path) as [string, ...string[]];
const strangePaths = [
  '/etcdserverpb.KV/Nothing',
  '/etcdserverpb.Maintenance/Snapshot',
  '/v3lockpb.Lock/Lock',
  '/',
  '/etcdserverpb.KV/',
  `/${'x'.repeat(5000)}`,
] as const;

/** A sensible request that is then spoiled, or bytes that never were one. */
export function fuzzedCall(random: Random): FuzzedCall {
  const [path, frame] = sensible(random);
  const wrongPath = random.chance(0.02) ? random.pick(strangePaths) : random.pick(everyPath);
  return { path: random.chance(0.12) ? wrongPath : path, body: spoiled(random, frame) };
}

/** What a stream is given: some messages, whole, cut and wrong. */
export function fuzzedStream(random: Random): FuzzedCall {
  const watches = random.chance(0.8);
  const messages = Array.from({ length: 1 + random.int(6) }, () => {
    for (;;) {
      const operation = randomOperation(random, known);
      if (watches && (operation.kind === 'watch' || operation.kind === 'cancel-watch'))
        return spoiled(random, frameOf(operation));
      if (!watches && operation.kind === 'keep-alive') return spoiled(random, frameOf(operation));
    }
  });
  return { path: watches ? methods.watch.path : methods.leaseKeepAlive.path, body: Buffer.concat(messages) };
}

function sensible(random: Random): readonly [path: string, frame: Buffer] {
  for (;;) {
    const operation = randomOperation(random, known);
    if (['watch', 'cancel-watch', 'keep-alive'].includes(operation.kind)) continue;
    const limit = random.pick([-1, -(2 ** 40), 2 ** 31, Number.MAX_SAFE_INTEGER]);
    if (operation.kind === 'range' && random.chance(0.1))
      return [methods.range.path, encodeFrame(methods.range.request, { ...operation.request, limit })];
    const frame = frameOf(operation);
    if (frame.length <= maxBody) return [pathOf(operation), frame];
  }
}

function frameOf(operation: Operation): Buffer {
  switch (operation.kind) {
    case 'range':
      return encodeFrame(methods.range.request, operation.request);
    case 'put':
      return encodeFrame(methods.put.request, operation.request);
    case 'delete':
      return encodeFrame(methods.deleteRange.request, operation.request);
    case 'txn':
      return encodeFrame(methods.txn.request, operation.request);
    case 'compact':
      return encodeFrame(methods.compact.request, operation.request);
    case 'grant':
      return encodeFrame(methods.leaseGrant.request, operation.request);
    case 'revoke':
      return encodeFrame(methods.leaseRevoke.request, operation.request);
    case 'time-to-live':
      return encodeFrame(methods.leaseTimeToLive.request, operation.request);
    case 'leases':
      return encodeFrame(methods.leaseLeases.request, {});
    case 'keep-alive':
      return encodeFrame(methods.leaseKeepAlive.request, operation.request);
    case 'watch':
      return encodeFrame(methods.watch.request, { create: operation.request });
    case 'cancel-watch':
      return encodeFrame(methods.watch.request, { cancel: operation.request });
  }
}

function pathOf({ kind }: Operation): string {
  const names = {
    range: 'range',
    put: 'put',
    delete: 'deleteRange',
    txn: 'txn',
    compact: 'compact',
    grant: 'leaseGrant',
    revoke: 'leaseRevoke',
    'time-to-live': 'leaseTimeToLive',
    leases: 'leaseLeases',
    'keep-alive': 'leaseKeepAlive',
    watch: 'watch',
    'cancel-watch': 'watch',
  } as const;
  return methods[names[kind]].path;
}

type Mutation = (random: Random, payload: Buffer<ArrayBuffer>) => Buffer<ArrayBuffer>;

/** Numbers that decoders stumble over, as varints. */
const awkward = [
  Buffer.from([0x80]),
  Buffer.from('ffffffffffffffffff01', 'hex'),
  Buffer.from('ffffffffffffffffffff01', 'hex'),
  Buffer.from('8080808080808080808000', 'hex'),
  Buffer.from('ffffffff0f', 'hex'),
  Buffer.from('ffffffffffffff7f', 'hex'),
] as const;

const mutations: readonly [Mutation, ...Mutation[]] = [
  (random, payload) => {
    for (let flips = 1 + random.int(4); payload.length > 0 && flips > 0; flips--) {
      const at = random.int(payload.length);
      payload[at] = (payload[at] ?? 0) ^ (1 << random.int(8));
    }
    return payload;
  },
  (random, payload) => payload.subarray(0, random.int(payload.length + 1)),
  (random, payload) => inserted(random, payload, randomBytes(random, 1 + random.int(8))),
  (random, payload) => inserted(random, payload, random.pick(awkward)),
  (random, payload) => Buffer.concat([payload, payload.subarray(random.int(payload.length + 1))]),
  (random) => randomBytes(random, random.int(300)),
  (random, payload) => nested(random, payload),
  // Any field of any type, of no length or of far too much.
  (random, payload) =>
    inserted(random, payload, Buffer.concat([Buffer.of(random.int(256)), random.pick([...awkward, Buffer.of(0)])])),
  (_random, payload) => payload,
  (_random, payload) => payload,
  (_random, payload) => payload,
];

function spoiled(random: Random, frame: Buffer): Buffer {
  let payload = Buffer.from(frame.subarray(frameHead));
  for (let rounds = 1 + random.int(2); rounds > 0; rounds--) payload = random.pick(mutations)(random, payload);
  const head = Buffer.alloc(frameHead);
  head.writeUInt32BE(payload.length, 1);
  if (random.chance(0.04)) head[0] = random.int(256);
  if (random.chance(0.04))
    head.writeUInt32BE(random.pick([0, payload.length + 1, 0x7fffffff, 0xffffffff, 3_000_000]), 1);
  return random.chance(0.02) ? head.subarray(0, random.int(frameHead)) : Buffer.concat([head, payload]);
}

function inserted(random: Random, payload: Buffer, bytes: Buffer): Buffer<ArrayBuffer> {
  const at = random.int(payload.length + 1);
  return Buffer.concat([payload.subarray(0, at), bytes, payload.subarray(at)]);
}

function randomBytes(random: Random, length: number): Buffer<ArrayBuffer> {
  return Buffer.from(Array.from({ length }, () => random.int(256)));
}

/** A message in a message in a message: of a transaction (`TxnRequest.success` is field 2, `RequestOp.request_txn` 4), or of anything. */
function nested(random: Random, payload: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const depth = random.pick([2, 10, 60, 200, 3000]);
  const tags = random.chance(0.7) ? [0x12, 0x22] : [0x0a, 0x1a];
  const inner = payload.subarray(0, 200);
  const heads: Buffer[] = [];
  let length = inner.length;
  for (let level = 0; level < depth && length < maxBody; level++) {
    const head = [tags[level % 2] ?? 0];
    for (let rest = length; ; rest >>>= 7) {
      head.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
      if (rest <= 0x7f) break;
    }
    heads.push(Buffer.from(head));
    length += head.length;
  }
  return Buffer.concat([...heads.toReversed(), inner]);
}
