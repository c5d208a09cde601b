import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { EngineCompare, RequestOp } from '../../../../kvstore/contract/index.ts';
import { maxWalkedRows } from '../../../../kvstore/engine/walked.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const put = (key: string): RequestOp => ({ type: 'put', request: { key: bytes(key), value: bytes('x') } });
const all = { key: bytes('k'), rangeEnd: bytes('l') };
const half = { key: bytes('k0'), rangeEnd: bytes('k1') };
const range = (request: object): RequestOp => ({ type: 'range', request: { ...all, ...request } });
const remove = (request: object): RequestOp => ({ type: 'delete', request: { ...all, ...request } });
const nestedReads = (key: string): RequestOp => {
  const success = Array.from({ length: 60 }, () => range({ key: bytes(key), rangeEnd: bytes('') }));
  return { type: 'txn', request: { compare: [], success, failure: [] } };
};
const compare: EngineCompare = { ...all, target: 'version', result: 'equal', version: 1 };

describe('a transaction that writes does so in one go', () => {
  let engine: MemoryEngine;
  beforeAll(async () => {
    engine = new MemoryEngine({ clock: new VirtualClock() });
    // 60 times are more than the rows that may be looked at, each of which may have 4 KiB.
    await engine.put({ key: bytes('large'), value: new Uint8Array((maxWalkedRows * 4096) / 59) });
    const each = maxWalkedRows * 0.6;
    for (const half of ['k0', 'k1'])
      await Promise.all(
        Array.from({ length: each }, (_, i) => engine.put({ key: bytes(`${half}${i}`), value: bytes('x') })),
      );
  });
  afterAll(() => engine[Symbol.asyncDispose]());

  test.each<{ readonly what: string; readonly compare?: EngineCompare[]; readonly success: RequestOp[] }>([
    { what: 'reads too many keys before it', success: [range({}), put('w')] },
    { what: 'reads too many keys after it', success: [put('w'), range({})] },
    {
      what: 'counts too many keys',
      success: [put('w'), ...Array.from({ length: 40 }, () => range({ countOnly: true }))],
    },
    {
      what: 'reads too many keys in a nested one',
      success: [put('w'), { type: 'txn', request: { compare: [], success: [range({})], failure: [] } }],
    },
    { what: 'reads too many keys of an older time', success: [put('w'), range({ revision: 20_000 })] },
    { what: 'reads one large value again and again', success: [put('w'), nestedReads('large')] },
    { what: 'compares too many keys', compare: [compare], success: [put('w')] },
    { what: 'deletes too many keys again', success: [remove({}), remove(half), remove({})] },
  ])('so one that $what is refused, and nothing of it is done', async ({ compare: compared = [], success }) => {
    const { revision } = engine;
    await expect(engine.txn({ compare: compared, success, failure: [] })).rejects.toMatchObject({
      grpcCode: 3,
      message: expect.stringMatching(/^etcdserver: too many operations in txn request: .* 20000 keys/),
    });
    expect(engine.revision).toBe(revision);
    expect((await engine.range({ ...all, countOnly: true })).count).toBe(maxWalkedRows * 1.2);
  });

  test('one that only reads may look at everything', async () => {
    await expect(
      engine.txn({ compare: [compare], success: [range({}), range({})], failure: [] }),
    ).resolves.toMatchObject({
      succeeded: true,
    });
  });

  test('its own reads see its own writes, the same operation twice', async () => {
    const read = range({ key: bytes('w'), rangeEnd: bytes('x'), countOnly: true });
    const { responses } = await engine.txn({ compare: [], success: [read, put('w'), read], failure: [] });
    const revision = engine.revision;
    expect(responses).toMatchObject([
      { response: { count: 0, revision: revision - 1 } },
      { response: { revision } },
      { response: { count: 1, revision } },
    ]);
  });

  test('it may delete everything, in parts too', async () => {
    const success = [remove(half), remove({ key: bytes('k1') }), remove({ key: bytes('k1'), rangeEnd: bytes('k11') })];
    await expect(engine.txn({ compare: [], success: success.slice(0, 2), failure: [] })).resolves.toMatchObject({
      responses: [{ response: { deleted: maxWalkedRows * 0.6 } }, { response: { deleted: maxWalkedRows * 0.6 } }],
    });
    await expect(engine.txn({ compare: [], success, failure: [] })).resolves.toBeDefined();
  });

  test('it may hold so many operations, nested ones and both branches together', async () => {
    const single: RequestOp = { type: 'range', request: { key: bytes('a') } };
    const nested = (count: number): RequestOp => ({
      type: 'txn',
      request: { compare: [], success: Array.from({ length: count }, () => single), failure: [] },
    });
    const success = Array.from({ length: 64 }, () => nested(63));
    await expect(engine.txn({ compare: [], success, failure: success })).resolves.toBeDefined();
    const failure = Array.from({ length: 64 }, () => nested(64));
    await expect(engine.txn({ compare: [], success, failure })).rejects.toMatchObject({
      grpcCode: 3,
      message: 'etcdserver: too many operations in txn request',
    });
  });
});
