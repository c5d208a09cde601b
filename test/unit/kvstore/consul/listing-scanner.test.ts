import { describe, expect, test } from '@jest/globals';
import { ListingScanner } from '../../../../kvstore/consul/scan/index.ts';
import { ProtocolError } from '../../../../kvstore/index.ts';

const session = '5a938d83-d898-1d7f-7b1a-de9f62f75eaa';
const entries = [
  { LockIndex: 0, Key: 'a/plain', Flags: 7, Value: 'dGVzdA==', CreateIndex: 3, ModifyIndex: 5 },
  { LockIndex: 2, Key: 'a/leased', Flags: 0, Value: 'eA==', Session: session, CreateIndex: 9, ModifyIndex: 9 },
  { LockIndex: 0, Key: 'a/empty', Flags: 2 ** 53, Value: null, CreateIndex: 10, ModifyIndex: 10 },
  { LockIndex: 0, Key: 'a/brace}{][,:', Flags: 0, Value: '', CreateIndex: 11, ModifyIndex: 12 },
  { LockIndex: 0, Key: 'a/"quoted"\\<&>', Flags: 0, Value: 'AP8=', CreateIndex: 13, ModifyIndex: 13 },
  { LockIndex: 0, Key: 'a/Größe/日本', Flags: 0, Value: 'w6Q=', CreateIndex: 14, ModifyIndex: 15 },
];
const expected = entries.map((entry) => ({
  key: entry.Key,
  value: Buffer.from(entry.Value ?? '', 'base64').toString('latin1'),
  lease: entry.Session ? BigInt(`0x${session.replaceAll('-', '')}`) : 0n,
  created: entry.CreateIndex,
  modified: entry.ModifyIndex,
}));

/** As Go writes it. */
const escaped = (text: string): string =>
  text.replace(/[<>&]/g, (char) => `\\u00${char.charCodeAt(0).toString(16).padStart(2, '0')}`);

function scan(...chunks: readonly (string | Buffer)[]): unknown[] {
  const found: unknown[] = [];
  const scanner = new ListingScanner((raw) => {
    const { key, value, lease, createRevision, modRevision } = raw.toKeyValue();
    expect(Buffer.from(key).toString()).toBe(raw.key);
    found.push({
      key: raw.key,
      value: Buffer.from(value).toString('latin1'),
      lease,
      created: createRevision,
      modified: modRevision,
    });
  });
  for (const chunk of chunks) scanner.push(Buffer.from(chunk as string));
  scanner.end();
  return found;
}

describe('A listing of Consul', () => {
  test.each([
    { form: 'compact, as a server writes it', text: escaped(JSON.stringify(entries)) },
    { form: 'indented, as a dev agent writes it', text: escaped(JSON.stringify(entries, undefined, 4)) },
    { form: 'with its fields the other way round', text: JSON.stringify(entries.map(reversed)) },
    { form: 'with fields of a later version', text: JSON.stringify(entries.map((e) => ({ ...e, New: { a: ['}'] } }))) },
  ])('is read whole: $form', ({ text }) => {
    expect(scan(text)).toEqual(expected);
  });

  test('is read whole wherever it is cut in two', () => {
    const bytes = Buffer.from(escaped(JSON.stringify(entries)));
    for (let at = 0; at <= bytes.length; at++)
      expect(scan(bytes.subarray(0, at), bytes.subarray(at))).toEqual(expected);
  });

  test('is read whole byte by byte', () => {
    const bytes = Buffer.from(JSON.stringify(entries, undefined, 2));
    expect(scan(...Array.from(bytes, (byte) => Buffer.from([byte])))).toEqual(expected);
  });

  test('may be empty', () => {
    expect(scan(' [ ] \n')).toEqual([]);
  });

  test('has the same checksum for the same value and owner, and another for another', () => {
    const sums: number[] = [];
    const scanner = new ListingScanner((raw) => void sums.push(raw.checksum()));
    const [plain, leased] = entries;
    const others = [
      plain,
      plain,
      { ...plain, Value: 'dGVzdB==' },
      leased,
      { ...leased, Session: `0${session.slice(1)}` },
    ];
    scanner.push(Buffer.from(JSON.stringify(others)));
    expect(sums[0]).toBe(sums[1]);
    expect(new Set(sums).size).toBe(4);
  });

  test.each([
    { fault: 'cut off', text: '[{"Key":"a","Value":"","CreateIndex":1,"ModifyIndex":1}' },
    { fault: 'cut off inside a key', text: '[{"Key":"a' },
    { fault: 'nothing at all', text: '' },
    { fault: 'an object', text: '{"Key":"a"}' },
    { fault: 'a page of HTML', text: '<html></html>' },
    { fault: 'numbers', text: '[1,2]' },
    { fault: 'objects that are no keys', text: '[{"a":1}]' },
    { fault: 'a key without index', text: '[{"Key":"a","Value":null,"CreateIndex":1}]' },
    { fault: 'an index beyond 2⁵³', text: '[{"Key":"a","Value":null,"CreateIndex":1,"ModifyIndex":9007199254740993}]' },
    { fault: 'a negative index', text: '[{"Key":"a","Value":null,"CreateIndex":1,"ModifyIndex":-1.5}]' },
    { fault: 'something after its end', text: '[]{}' },
    { fault: 'broken JSON', text: '[{"Key":"a\\u00zz","Value":null,"CreateIndex":1,"ModifyIndex":1}]' },
  ])('is refused, not taken for a shorter one: $fault', ({ text }) => {
    expect(() => scan(text)).toThrow(ProtocolError);
  });

  test('of random bytes ends in an error or in keys, never in a hang', () => {
    const good = JSON.stringify(entries);
    let state = 12345;
    const random = (below: number): number => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state % below;
    };
    for (let round = 0; round < 2000; round++) {
      const bytes = Buffer.from(good);
      for (let i = 0; i <= random(4); i++) bytes[random(bytes.length)] = random(256);
      try {
        scan(bytes.subarray(0, random(bytes.length)), bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtocolError);
      }
    }
  });
});

function reversed(entry: object): object {
  return Object.fromEntries(Object.entries(entry).toReversed());
}
