import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { ProtocolError } from '../../../../../kvstore/contract/index.ts';
import {
  type Codec,
  decode,
  encode,
  leaseTimeToLiveResponse,
  memberListResponse,
  putRequest,
  rangeRequest,
  rangeResponse,
  statusResponse,
  txnRequest,
  watchRequest,
  watchResponse,
} from '../../../../../kvstore/etcd/wire/index.ts';

// Written by etcd's own Go types: `goclient vectors` (test/servers/goclient).
const vectors = JSON.parse(readFileSync(new URL('vectors.json', import.meta.url), 'utf8')) as Record<string, string>;

const of = (text: string): Uint8Array => new TextEncoder().encode(text);
const long = Uint8Array.from({ length: 300 }, (_, i) => i & 0xff);
const header = { clusterId: 0xfedcba9876543210n, memberId: 7n, revision: 2 ** 40, raftTerm: 2n };
const kv = {
  key: of('a/b'),
  createRevision: 2,
  modRevision: 300,
  version: 128,
  value: new Uint8Array([0x76, 0, 0xff]),
  lease: 0x7000000000000001n,
};
const bareKv = { key: of(''), createRevision: 0, modRevision: 0, version: 0, value: of(''), lease: 0n };
const bareRange = {
  key: of(''),
  rangeEnd: of(''),
  limit: 0,
  revision: 0,
  sortOrder: 'none',
  sortTarget: 'key',
  serializable: false,
  keysOnly: false,
  countOnly: false,
  minModRevision: 0,
  maxModRevision: 0,
  minCreateRevision: 0,
  maxCreateRevision: 0,
} as const;
const barePut = {
  key: of(''),
  value: of(''),
  lease: 0n,
  prevKv: false,
  ignoreValue: false,
  ignoreLease: false,
};
const bareCompare = {
  version: undefined,
  createRevision: undefined,
  modRevision: undefined,
  value: undefined,
  lease: undefined,
};
const bareOp = { range: undefined, put: undefined, deleteRange: undefined, txn: undefined };
const bareWatchResponse = {
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  fragment: false,
  events: [],
};

interface Case {
  readonly name: string;
  readonly codec: Codec<unknown, never>;
  readonly value: unknown;
}
const row = <Out, In>(name: string, codec: Codec<Out, In>, value: Out & In): Case => ({ name, codec, value });

const cases: readonly Case[] = [
  row('empty range', rangeRequest, bareRange),
  row('range', rangeRequest, {
    key: of('k'),
    rangeEnd: new Uint8Array([0]),
    limit: 10_000,
    revision: 9,
    sortOrder: 'descend',
    sortTarget: 'value',
    serializable: true,
    keysOnly: true,
    countOnly: true,
    minModRevision: 1,
    maxModRevision: 2,
    minCreateRevision: 3,
    maxCreateRevision: 4,
  }),
  row('range answer', rangeResponse, {
    header,
    kvs: [kv, { ...bareKv, key: of('l'), value: long, lease: -2n }],
    more: true,
    count: 70_000,
  }),
  row('put', putRequest, {
    key: of('k'),
    value: long,
    lease: -1n,
    prevKv: true,
    ignoreValue: true,
    ignoreLease: true,
  }),
  row('txn', txnRequest, {
    compare: [
      { ...bareCompare, result: 'equal', target: 'create', key: of('k'), createRevision: 0, rangeEnd: of('') },
      { ...bareCompare, result: 'not-equal', target: 'lease', key: of('k'), lease: 5n, rangeEnd: of('l') },
    ],
    success: [
      { ...bareOp, put: { ...barePut, key: of('k'), value: of('v') } },
      {
        ...bareOp,
        txn: { compare: [], success: [], failure: [{ ...bareOp, range: { ...bareRange, key: of('k') } }] },
      },
    ],
    failure: [{ ...bareOp, deleteRange: { key: of('k'), rangeEnd: of(''), prevKv: true } }],
  }),
  row('watch create', watchRequest, {
    create: {
      key: of('a'),
      rangeEnd: of('b'),
      startRevision: 5,
      progressNotify: true,
      filters: ['no-put', 'no-delete'],
      prevKv: true,
      watchId: -(2n ** 63n),
      fragment: true,
    },
    cancel: undefined,
    progress: undefined,
  }),
  row('watch progress', watchRequest, { create: undefined, cancel: undefined, progress: {} }),
  row('watch events', watchResponse, {
    ...bareWatchResponse,
    header,
    watchId: -1n,
    events: [
      { type: 'put', kv, prevKv: { ...bareKv, key: of('a/b') } },
      { type: 'delete', kv: { ...bareKv, key: of('x'), modRevision: 301 }, prevKv: undefined },
    ],
  }),
  row('watch canceled', watchResponse, {
    ...bareWatchResponse,
    header,
    watchId: 3n,
    created: true,
    canceled: true,
    compactRevision: 12,
    cancelReason: 'grund: ü',
    fragment: true,
  }),
  row('lease keys', leaseTimeToLiveResponse, {
    header,
    id: 1n,
    ttl: -1,
    grantedTtl: 60,
    keys: [of('a'), of(''), of('b')],
  }),
  row('members', memberListResponse, {
    header,
    members: [
      { id: 2n ** 64n - 1n, name: 'n', peerUrls: ['http://p'], clientUrls: ['http://a', 'http://b'], isLearner: true },
    ],
  }),
  row('status', statusResponse, {
    header,
    version: '3.6.16',
    dbSize: 2 ** 33,
    leader: 7n,
    raftIndex: 8n,
    raftTerm: 9n,
    raftAppliedIndex: 10n,
    errors: ['e'],
    dbSizeInUse: 11,
    isLearner: true,
    storageVersion: '3.6.0',
    dbSizeQuota: 12,
  }),
];

const hex = (name: string): Buffer => Buffer.from(vectors[name] ?? '', 'hex');

describe('the codec of etcd messages', () => {
  test.each(cases)('writes "$name" as the Go types do', ({ name, codec, value }) => {
    expect(encode(codec as Codec<unknown>, value).toString('hex')).toBe(vectors[name]);
  });

  test.each(cases)('reads "$name" as the Go types wrote it', ({ name, codec, value }) => {
    expect(plain(decode(codec, hex(name)))).toEqual(plain(value));
  });

  test('covers every vector', () => {
    const covered = [...cases.map(({ name }) => name), 'range with extreme numbers'];
    expect(covered.toSorted()).toEqual(Object.keys(vectors).toSorted());
  });

  test('clamps what a client may choose beyond 2^53', () => {
    expect(decode(rangeRequest, hex('range with extreme numbers'))).toMatchObject({
      limit: -1,
      revision: Number.MAX_SAFE_INTEGER,
      minModRevision: Number.MIN_SAFE_INTEGER,
    });
  });

  test('refuses a revision beyond 2^53 in an answer', () => {
    const bytes = Buffer.from('18ffffffffffffffff7f', 'hex');
    expect(() => decode(watchResponse, Buffer.concat([Buffer.from('0a0a', 'hex'), bytes]))).toThrow(ProtocolError);
  });

  test.each(cases.filter(({ name }) => (vectors[name] ?? '').length > 4))(
    'finds "$name" cut anywhere either whole at a field border or broken, never something else',
    ({ name, codec }) => {
      const whole = hex(name);
      for (let length = 0; length < whole.length; length++) {
        try {
          decode(codec, whole.subarray(0, length));
        } catch (error) {
          expect(error).toBeInstanceOf(ProtocolError);
        }
      }
      expect(() => decode(codec, Buffer.concat([whole, Buffer.from([0x0a, 0x05, 0x00])]))).toThrow(ProtocolError);
    },
  );

  test('skips fields it does not know, of every wire type', () => {
    const unknown = Buffer.from('a00601a9060102030405060708b206026162bd0601020304', 'hex');
    expect(decode(putRequest, Buffer.concat([unknown, Buffer.from('0a016b', 'hex'), unknown]))).toEqual({
      ...barePut,
      key: expect.any(Uint8Array),
    });
  });

  test.each([
    { what: 'a group', bytes: '0b' },
    { what: 'field number 0', bytes: '0001' },
    { what: 'a number of eleven bytes', bytes: '18ffffffffffffffffffff01' },
    { what: 'a known field of another wire type', bytes: '0801' },
  ])('refuses $what', ({ bytes }) => {
    expect(() => decode(putRequest, Buffer.from(bytes, 'hex'))).toThrow(ProtocolError);
  });

  test('refuses messages nested without end', () => {
    let bytes = Buffer.alloc(0);
    for (let i = 0; i < 200; i++) bytes = Buffer.concat([lengthPrefixed(0x12, lengthPrefixed(0x22, bytes))]);
    expect(() => decode(txnRequest, bytes)).toThrow(/nested deeper/);
  });

  test('reads an enumeration value it does not know as unrecognized', () => {
    expect(decode(rangeRequest, Buffer.from('2809', 'hex')).sortOrder).toBe('unrecognized');
  });

  test('reads filters that were not packed', () => {
    const bytes = Buffer.from('0a0428002801', 'hex');
    expect(decode(watchRequest, bytes).create?.filters).toEqual(['no-put', 'no-delete']);
  });

  test.each([127, 128, 16_383, 16_384, 2_097_151, 2_097_152])('writes an embedded message around %i bytes', (size) => {
    const value = new Uint8Array(size - 3).fill(7);
    const back = decode(rangeResponse, encode(rangeResponse, { kvs: [{ ...bareKv, key: of('k'), value }] }));
    expect(back.kvs[0]?.value.length).toBe(value.length);
    expect(Buffer.compare(back.kvs[0]?.value ?? of(''), value)).toBe(0);
  });

  test('refuses to write a number that is not safe', () => {
    expect(() => encode(rangeRequest, { revision: 2 ** 53 })).toThrow(RangeError);
    expect(() => encode(putRequest, { lease: 2n ** 64n })).toThrow(RangeError);
  });
});

function lengthPrefixed(tag: number, bytes: Buffer): Buffer {
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 0x7f; rest >>= 7) length.push((rest & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([tag, ...length, rest]), bytes]);
}

/** The same value with bytes as hex, so that a Buffer equals a Uint8Array. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  if (Array.isArray(value)) return value.map(plain);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}
