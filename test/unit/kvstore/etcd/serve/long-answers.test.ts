import { describe, expect, test } from '@jest/globals';
import type { KeyValue } from '../../../../../kvstore/contract/index.ts';
import type { Steps } from '../../../../../kvstore/engine/index.ts';
import { deletePieces, leasePieces, rangePieces, txnPieces } from '../../../../../kvstore/etcd/serve/long-answers.ts';
import {
  FrameReader,
  type TxnResponseIn,
  decode,
  deleteRangeResponse,
  encode,
  frameOf,
  leaseTimeToLiveResponse,
  rangeResponse,
  txnResponse,
} from '../../../../../kvstore/etcd/wire/index.ts';

const kvs = (count: number, size: number): KeyValue[] =>
  Array.from({ length: count }, (_, i) => ({
    key: new Uint8Array(Buffer.from(`k${i}`)),
    value: new Uint8Array(size).fill(i),
    createRevision: i + 1,
    modRevision: i + 2,
    version: 3,
    lease: 4n,
  }));
const header = { clusterId: 1n, memberId: 2n, revision: 9, raftTerm: 1n };

/** The pieces, each of which others may have had their turn before. */
function all(steps: Steps<Buffer[]>): { readonly pieces: readonly Buffer[]; readonly steps: number } {
  for (let count = 0; ; count++) {
    const step = steps.next();
    if (step.done) return { pieces: step.value, steps: count };
  }
}

describe('a long answer', () => {
  test.each([
    { what: 'of nothing', count: 0, size: 0, steps: 0 },
    { what: 'of many rows', count: 5000, size: 10, steps: 9 },
    { what: 'of large ones', count: 20, size: 300_000, steps: 20 },
  ])('$what is the same in pieces, and made in steps', ({ count, size, steps }) => {
    const response = { header, kvs: kvs(count, size), more: true, count: 7 };
    const made = all(rangePieces(response));
    expect(Buffer.concat(made.pieces).equals(encode(rangeResponse, response))).toBe(true);
    expect(made.steps).toBeGreaterThanOrEqual(steps);
    for (const piece of made.pieces) expect(piece.length).toBeLessThan(600_000);
  });

  test('of a deletion with what was there before, too', () => {
    const response = { header, deleted: 5000, prevKvs: kvs(5000, 10) };
    const made = all(deletePieces(response));
    expect(Buffer.concat(made.pieces).equals(encode(deleteRangeResponse, response))).toBe(true);
    expect(made.steps).toBeGreaterThanOrEqual(9);
  });

  test('of a lease with many keys, too', () => {
    const keys = Array.from({ length: 2000 }, (_, i) => new Uint8Array(Buffer.from(`k${i}`)));
    const response = { header, id: 7n, ttl: 5, grantedTtl: 60, keys };
    const made = all(leasePieces(response));
    expect(Buffer.concat(made.pieces).equals(encode(leaseTimeToLiveResponse, response))).toBe(true);
    expect(made.steps).toBeGreaterThanOrEqual(3);
  });

  test('of a transaction is the same in pieces, with long and short ones nested in each other', () => {
    const long = { header: { revision: 9 }, kvs: kvs(3000, 20), more: false, count: 3000 };
    const short = { header: { revision: 9 }, kvs: kvs(2, 20), more: false, count: 2 };
    const large = { header: { revision: 9 }, kvs: kvs(1, 300_000), more: false, count: 1 };
    const nested: TxnResponseIn = {
      header: {},
      succeeded: true,
      responses: [{ range: short }, { range: long }, { put: { header: { revision: 9 } } }],
    };
    const response: TxnResponseIn = {
      header,
      succeeded: true,
      responses: [
        ...Array.from({ length: 1000 }, () => ({ range: short })),
        { range: long },
        { txn: nested },
        { deleteRange: { header: { revision: 10 }, deleted: 3 } },
        { deleteRange: { header: { revision: 10 }, deleted: 3000, prevKvs: kvs(3000, 20) } },
        { txn: { header: {}, responses: [{ txn: nested }] } },
        ...Array.from({ length: 20 }, () => ({ range: large })),
      ],
    };
    const made = all(txnPieces(response));
    expect(Buffer.concat(made.pieces).equals(encode(txnResponse, response))).toBe(true);
    expect(made.steps).toBeGreaterThanOrEqual(40);
    for (const piece of made.pieces) expect(piece.length).toBeLessThan(600_000);
    const [message] = new FrameReader({ maxBytes: 2 ** 24 }).push(Buffer.concat(frameOf(made.pieces)));
    expect(decode(txnResponse, message ?? new Uint8Array(0)).responses).toHaveLength(1025);
  });
});
