import { plainKeyValue } from '../../../../kvstore/engine/index.ts';
import { decode, encode, keyValue } from '../../../../kvstore/etcd/wire/index.ts';
import { describe, expect, test } from '@jest/globals';
import { decodeRow, encodeRow, leaseKey, logKey, readLogKey } from '../../../../kvstore/embedded/row-codec.ts';

const row = {
  kv: {
    key: new Uint8Array([0, 255, 7]),
    value: new Uint8Array([1, 2, 0]),
    createRevision: 2 ** 40 + 1,
    modRevision: 2 ** 52 + 3,
    version: 2 ** 33,
    lease: -5n,
  },
  deleted: false,
  sub: 127,
  createSub: 3,
};

describe('rows on disk', () => {
  test('a row comes back as it was', () => {
    const encoded = encodeRow(row, { revision: 2 ** 35, sub: 9 });
    const { kv, deleted, sub, createSub, previous } = decodeRow(Buffer.from(encoded.encoded));
    expect({ kv: plainKeyValue(kv), deleted, sub, createSub }).toEqual(row);
    expect(previous).toEqual({ revision: 2 ** 35, sub: 9 });
  });

  test('a deletion has a key and a revision', () => {
    const kv = { ...row.kv, value: new Uint8Array(0), createRevision: 0, version: 0, lease: 0n };
    const encoded = encodeRow({ ...row, kv, deleted: true }, { revision: 0, sub: 0 });
    expect(encoded.deleted).toBe(true);
    expect(plainKeyValue(encoded.kv)).toEqual(kv);
  });

  test.each([
    row.kv,
    { ...row.kv, lease: 0n, version: 1 },
    { ...row.kv, value: new Uint8Array(0), lease: 2n ** 62n },
    { ...row.kv, key: new Uint8Array(1978).fill(7), value: new Uint8Array(300_000).fill(9), modRevision: 127 },
    { ...row.kv, value: new Uint8Array(0), createRevision: 0, version: 0, lease: 0n },
  ])('what a server copies is what it would have made ($#)', (kv) => {
    const { kv: stored } = encodeRow({ ...row, kv }, { revision: 0, sub: 0 });
    const copied = Buffer.alloc(stored.messageLength + 3);
    expect(stored.copyMessage(copied, 3)).toBe(copied.length);
    expect(copied.subarray(3).equals(encode(keyValue, kv))).toBe(true);
    expect(plainKeyValue(decode(keyValue, copied.subarray(3)))).toEqual(kv);
  });

  test('log keys sort by revision, then by place', () => {
    const ids = [
      { revision: 1, sub: 0 },
      { revision: 1, sub: 300 },
      { revision: 2 ** 32 - 1, sub: 1 },
      { revision: 2 ** 32, sub: 0 },
      { revision: 2 ** 53 - 1, sub: 5 },
    ];
    const keys = ids.map(logKey);
    expect(keys.toSorted((a, b) => Buffer.compare(a, b))).toEqual(keys);
    expect(keys.map(readLogKey)).toEqual(ids);
  });

  test('the key of a lease’s row does not grow with the user’s key', () => {
    expect(leaseKey(7n, row)).toHaveLength(20);
  });
});
