import { describe, expect, test } from '@jest/globals';
import { Rights, type Role, permitKey, permitPrefix, permitRange, rootRole } from '../../../../kvstore/auth/index.ts';
import { prefixEnd } from '../../../../kvstore/contract/index.ts';

const of = (text: string): Uint8Array => Buffer.from(text);
const from = (key: string, rangeEnd: string) => ({ key: of(key), rangeEnd: of(rangeEnd) });
const prefix = (text: string) => ({ key: of(text), rangeEnd: prefixEnd(of(text)) });
const role = (...permissions: Role['permissions']): Role => ({ name: 'r', permissions });

const rights = new Rights([
  role(permitPrefix('read', 'a/'), permitKey('read', 'zone'), permitRange('readwrite', 'k', 'm')),
  // It begins where the one before ends.
  role(permitRange('read', 'm', 'p'), permitPrefix('write', 'w/')),
]);

describe('rights', () => {
  test.each([
    { what: 'a key below a prefix', range: { key: of('a/1') }, read: true, write: false },
    { what: 'the prefix itself', range: prefix('a/'), read: true, write: false },
    { what: 'a longer prefix', range: prefix('a/1/'), read: true, write: false },
    { what: 'a shorter prefix', range: prefix('a'), read: false, write: false },
    { what: 'a key before the prefix', range: { key: of('a') }, read: false, write: false },
    { what: 'the key after the prefix', range: { key: of('a0') }, read: false, write: false },
    { what: 'the single key', range: { key: of('zone') }, read: true, write: false },
    { what: 'what begins with the single key', range: prefix('zone'), read: false, write: false },
    { what: 'the key after the single key', range: { key: of('zone\0') }, read: false, write: false },
    { what: 'the single key as a range', range: from('zone', 'zone\0'), read: true, write: false },
    { what: 'a range across two permissions that touch', range: from('l', 'o'), read: true, write: false },
    { what: 'a range within one that may be written', range: from('k', 'm'), read: true, write: true },
    { what: 'a range that ends beyond', range: from('k', 'm\0'), read: true, write: false },
    { what: 'a key of which only writing is allowed', range: { key: of('w/1') }, read: false, write: true },
    { what: 'everything', range: from('\0', '\0'), read: false, write: false },
    { what: 'everything from a key on', range: from('a/', '\0'), read: false, write: false },
    { what: 'a range whose end comes first', range: from('l', 'k'), read: false, write: false },
    { what: 'a range without a key', range: from('l', 'l'), read: false, write: false },
    { what: 'the empty key', range: { key: of('') }, read: false, write: false },
  ])('of $what: read $read, write $write', async ({ range, read, write }) => {
    expect(await rights.mayRead(range)).toBe(read);
    expect(rights.mayReadRange(range)).toBe(read);
    expect(await rights.mayWrite(range)).toBe(write);
  });

  test('of root are everything, of nobody nothing', async () => {
    const all = from('\0', '\0');
    const root = new Rights([rootRole]);
    const nobody = new Rights([]);
    expect([await root.mayRead(all), await root.mayWrite(all), root.writes, root.root]).toEqual([
      true,
      true,
      true,
      true,
    ]);
    expect([await nobody.mayRead(all), nobody.writes, nobody.root]).toEqual([false, false, false]);
    expect(new Rights([role(permitPrefix('read', ''))]).writes).toBe(false);
  });

  test('to an empty prefix are those to all keys', async () => {
    const reader = new Rights([role(permitPrefix('read', ''))]);
    expect(await reader.mayRead(from('\0', '\0'))).toBe(true);
    expect(await reader.mayRead(prefix('x'))).toBe(true);
  });

  test('to chosen keys of a range are never those to a range', async () => {
    const even = { ...permitPrefix('write', 'n/'), only: (key: Uint8Array) => (key.at(-1) ?? 0) % 2 === 0 };
    const chooser = new Rights([role(even)]);
    expect(chooser.writes).toBe(true);
    expect(await chooser.mayWrite({ key: of('n/2') })).toBe(true);
    expect(await chooser.mayWrite({ key: of('n/3') })).toBe(false);
    expect(await chooser.mayWrite({ key: of('o/2') })).toBe(false);
    expect(await chooser.mayWrite(from('n/2', 'n/2\0'))).toBe(false);
    expect(await chooser.mayRead({ key: of('n/2') })).toBe(false);
  });
});
