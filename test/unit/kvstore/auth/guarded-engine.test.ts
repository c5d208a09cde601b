import { describe, expect, test } from '@jest/globals';
import { GuardedEngine, Rights, permitKey, permitPrefix } from '../../../../kvstore/auth/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const count = 2000;

describe('a lease with thousands of keys', () => {
  test.each([
    { what: 'one that may not be seen', last: 'other', allowed: false },
    { what: 'one that is allowed alone', last: 'alone', allowed: true },
    { what: 'none besides', last: 'app/last', allowed: true },
  ])('is shown and used by who has all its keys: with $what, $allowed', async ({ last, allowed }) => {
    await using engine = new MemoryEngine({ clock: new VirtualClock() });
    await engine.leaseGrant({ id: 7n, ttl: 600 });
    const keys = [...Array.from({ length: count }, (_, i) => `app/${i}`), last];
    await Promise.all(keys.map((key) => engine.put({ key: bytes(key), value: bytes('x'), lease: 7n })));
    const permissions = [permitPrefix('readwrite', 'app/'), permitKey('readwrite', 'alone')];
    const guarded = new GuardedEngine(engine, () => new Rights([{ name: 'r', permissions }]));
    const answers = await Promise.allSettled([
      guarded.leaseTimeToLive(7n, true),
      guarded.leaseKeepAlive(7n),
      guarded.put({ key: bytes('app/new'), value: bytes('x'), lease: 7n }),
    ]);
    const refused = { status: 'rejected', reason: { grpcCode: 7 } };
    expect(answers).toMatchObject(
      allowed
        ? [{ value: { ttl: expect.any(Number) } }, { value: { ttl: 600 } }, { value: { revision: count + 3 } }]
        : [refused, refused, refused],
    );
  });
});
