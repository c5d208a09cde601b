import { describe, expect, test } from '@jest/globals';
import type { EngineCompare, RequestOp, TxnRequest } from '../../../../kvstore/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const open = (): MemoryEngine => new MemoryEngine({ clock: new VirtualClock() });
const put = (key: string, value = 'x'): RequestOp => ({
  type: 'put',
  request: { key: bytes(key), value: bytes(value) },
});
const remove = (key: string, rangeEnd?: string): RequestOp => ({
  type: 'delete',
  request: { key: bytes(key), ...(rangeEnd === undefined ? {} : { rangeEnd: bytes(rangeEnd) }) },
});
const nested = (success: RequestOp[], failure: RequestOp[] = [], compare: EngineCompare[] = []): RequestOp => ({
  type: 'txn',
  request: { compare, success, failure },
});
const txn = (success: RequestOp[]): TxnRequest => ({ compare: [], success, failure: [] });
const duplicate = { grpcCode: 3, message: 'etcdserver: duplicate key given in txn request' };

describe('an engine', () => {
  test.each([
    {
      title: 'no key',
      request: { key: bytes(''), value: bytes('x') },
      message: 'etcdserver: key is not provided',
      code: 3,
    },
    {
      title: 'a value to ignore',
      request: { key: bytes('a'), value: bytes('x'), ignoreValue: true },
      message: 'etcdserver: value is provided',
      code: 3,
    },
    {
      title: 'a lease to ignore',
      request: { key: bytes('a'), value: bytes('x'), ignoreLease: true, lease: 3n },
      message: 'etcdserver: lease is provided',
      code: 3,
    },
    {
      title: 'the value of an absent key',
      request: { key: bytes('a'), value: bytes(''), ignoreValue: true },
      message: 'etcdserver: key not found',
      code: 3,
    },
    {
      title: 'an unknown lease',
      request: { key: bytes('a'), value: bytes('x'), lease: 3n },
      message: 'etcdserver: requested lease not found',
      code: 5,
    },
    {
      title: 'too much',
      request: { key: bytes('a'), value: new Uint8Array(1.5 * 1024 * 1024 + 1) },
      message: 'etcdserver: request is too large',
      code: 3,
    },
  ])('refuses a put with $title in etcd’s words', async ({ request, message, code }) => {
    await using engine = open();
    await expect(engine.put(request)).rejects.toMatchObject({ name: 'EngineError', grpcCode: code, message });
    expect(engine.revision).toBe(1);
  });

  test('keeps value or lease when asked to', async () => {
    await using engine = open();
    const { id } = await engine.leaseGrant({ id: 0n, ttl: 60 });
    await engine.put({ key: bytes('a'), value: bytes('1'), lease: id });
    await engine.put({ key: bytes('a'), value: bytes('2'), ignoreLease: true });
    await engine.put({ key: bytes('a'), value: bytes(''), ignoreValue: true });
    const { kvs } = await engine.range({ key: bytes('a') });
    expect(kvs).toMatchObject([{ value: bytes('2'), lease: 0n, version: 3 }]);
  });

  test.each<{ readonly title: string; readonly success: RequestOp[] }>([
    { title: 'two puts', success: [put('a'), put('a')] },
    { title: 'a put under a range that is deleted', success: [put('b'), remove('a', 'c')] },
    { title: 'a nested put and a put', success: [nested([put('a')]), put('a')] },
    { title: 'a nested delete and a put', success: [nested([remove('a')]), put('a')] },
    { title: 'puts of two nested transactions', success: [nested([put('a')]), nested([], [put('a')])] },
  ])('refuses a transaction with $title of one key', async ({ success }) => {
    await using engine = open();
    await expect(engine.txn(txn(success))).rejects.toMatchObject(duplicate);
  });

  test.each<{ readonly title: string; readonly success: RequestOp[] }>([
    { title: 'two deletes of one key', success: [remove('a'), remove('a', 'c')] },
    { title: 'a put in both branches of a nested transaction', success: [nested([put('a')], [put('a')])] },
    { title: 'a put beside a deleted range', success: [put('c'), remove('a', 'c')] },
  ])('takes a transaction with $title', async ({ success }) => {
    await using engine = open();
    await engine.put({ key: bytes('a'), value: bytes('x') });
    await expect(engine.txn(txn(success))).resolves.toMatchObject({ succeeded: true });
  });

  test('decides nested comparisons before the first write', async () => {
    await using engine = open();
    const absent: EngineCompare = { key: bytes('a'), target: 'version', result: 'equal', version: 0 };
    const answer = await engine.txn(
      txn([put('a'), nested([put('b', 'was absent')], [put('b', 'was present')], [absent])]),
    );
    expect(answer.responses[1]).toMatchObject({ type: 'txn', response: { succeeded: true } });
    expect((await engine.range({ key: bytes('b') })).kvs[0]?.value).toEqual(bytes('was absent'));
  });

  test('bounds the ranges of nested transactions together, which all run in one go', async () => {
    await using engine = open();
    const range: RequestOp = { type: 'range', request: { key: bytes('a'), rangeEnd: bytes('z'), countOnly: true } };
    const single: RequestOp = { type: 'range', request: { key: bytes('a') } };
    const ranged: EngineCompare = {
      key: bytes('a'),
      rangeEnd: bytes('z'),
      target: 'version',
      result: 'equal',
      version: 1,
    };
    const many = <T>(count: number, what: T): T[] => Array.from({ length: count }, () => what);
    // What has nothing nested is never too much, and what reads single keys is not.
    const flat = { compare: many(128, ranged), success: many(128, range), failure: many(128, range) };
    await expect(engine.txn(flat)).resolves.toMatchObject({ succeeded: false });
    await expect(engine.txn(txn(many(60, nested(many(60, single)))))).resolves.toBeDefined();
    await expect(engine.txn(txn(many(4, nested(many(64, range)))))).resolves.toBeDefined();
    for (const request of [
      txn(many(5, nested(many(64, range)))),
      txn(many(5, nested([], many(64, range)))),
      txn(many(5, nested([], [], many(64, ranged)))),
      txn(many(64, nested([nested(many(5, remove('a', 'z')))]))),
    ])
      await expect(engine.txn(request)).rejects.toMatchObject({
        grpcCode: 3,
        message: 'etcdserver: too many operations in txn request',
      });
  });

  test('counts the operations of nested transactions against the limit', async () => {
    await using engine = new MemoryEngine({ clock: new VirtualClock(), maxTxnOps: 3 });
    const puts = (prefix: string, count: number): RequestOp[] =>
      Array.from({ length: count }, (_, i) => put(`${prefix}${i}`));
    await expect(engine.txn(txn([nested(puts('a', 2))]))).resolves.toBeDefined();
    await expect(engine.txn(txn([nested(puts('a', 3))]))).rejects.toMatchObject({
      grpcCode: 3,
      message: 'etcdserver: too many operations in txn request',
    });
  });

  test('compares every key of a range', async () => {
    await using engine = open();
    for (const [key, value] of [
      ['a', '1'],
      ['b', '1'],
      ['c', '2'],
    ] as const)
      await engine.put({ key: bytes(key), value: bytes(value) });
    const holds = async (rangeEnd: string): Promise<boolean> => {
      const compare: EngineCompare = {
        key: bytes('a'),
        rangeEnd: bytes(rangeEnd),
        target: 'value',
        result: 'equal',
        value: bytes('1'),
      };
      return (await engine.txn({ compare: [compare], success: [], failure: [] })).succeeded;
    };
    expect(await holds('c')).toBe(true);
    expect(await holds('d')).toBe(false);
  });

  test('refuses reads of compacted and future revisions in etcd’s words', async () => {
    await using engine = open();
    for (let i = 0; i < 5; i++) await engine.put({ key: bytes('a'), value: bytes(`${i}`) });
    await engine.compact(4);
    const at = (revision: number) => engine.range({ key: bytes('a'), revision });
    await expect(at(3)).rejects.toMatchObject({
      grpcCode: 11,
      message: 'etcdserver: mvcc: required revision has been compacted',
    });
    await expect(at(7)).rejects.toMatchObject({
      grpcCode: 11,
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
    expect((await at(4)).kvs[0]?.value).toEqual(bytes('2'));
    await expect(engine.compact(4)).rejects.toMatchObject({
      message: 'etcdserver: mvcc: required revision has been compacted',
    });
    await expect(engine.compact(99)).rejects.toMatchObject({
      message: 'etcdserver: mvcc: required revision is a future revision',
    });
  });

  test('limits, counts, filters and sorts a range', async () => {
    await using engine = open();
    for (const [key, value] of [
      ['a', '3'],
      ['b', '1'],
      ['c', '2'],
      ['b', '0'],
    ] as const)
      await engine.put({ key: bytes(key), value: bytes(value) });
    const all = { key: bytes('a'), rangeEnd: bytes('z') };
    const keys = async (request: object): Promise<string> =>
      (await engine.range({ ...all, ...request })).kvs.map(({ key }) => Buffer.from(key).toString()).join('');
    expect(await engine.range({ ...all, limit: 2 })).toMatchObject({ more: true, count: 3, revision: 5 });
    expect(await engine.range({ ...all, countOnly: true })).toMatchObject({ kvs: [], more: false, count: 3 });
    expect(await keys({ sortOrder: 'descend' })).toBe('cba');
    expect(await keys({ sortTarget: 'value' })).toBe('bca');
    expect(await keys({ sortTarget: 'mod', sortOrder: 'descend', limit: 1 })).toBe('b');
    expect(await keys({ sortTarget: 'create' })).toBe('abc');
    expect(await keys({ minModRevision: 4 })).toBe('bc');
    expect(await keys({ maxCreateRevision: 3 })).toBe('ab');
    expect((await engine.range({ ...all, keysOnly: true })).kvs.every(({ value }) => value.length === 0)).toBe(true);
  });

  test('gives what was there before when asked to', async () => {
    await using engine = open();
    await engine.put({ key: bytes('a'), value: bytes('1') });
    expect(await engine.put({ key: bytes('a'), value: bytes('2'), prevKv: true })).toMatchObject({
      prevKv: { value: bytes('1') },
    });
    expect(await engine.put({ key: bytes('b'), value: bytes('2'), prevKv: true })).toEqual({ revision: 4 });
    const { prevKvs } = await engine.deleteRange({ key: bytes('a'), rangeEnd: bytes('c'), prevKv: true });
    expect(prevKvs.map(({ value }) => value)).toEqual([bytes('2'), bytes('2')]);
  });

  test('refuses everything once it is closed', async () => {
    const engine = open();
    await engine[Symbol.asyncDispose]();
    await expect(engine.range({ key: bytes('a') })).rejects.toMatchObject({ grpcCode: 14 });
    await expect(engine.put({ key: bytes('a'), value: bytes('x') })).rejects.toMatchObject({ grpcCode: 14 });
  });

  test('has random ids that are not zero', async () => {
    await using one = open();
    await using two = open();
    expect(one.clusterId).not.toBe(0n);
    expect(one.memberId).not.toBe(0n);
    expect(one.clusterId).not.toBe(two.clusterId);
  });
});
