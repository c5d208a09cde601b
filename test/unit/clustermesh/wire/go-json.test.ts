import { describe, expect, test } from '@jest/globals';
import { GoMap, goJson, omitEmpty, stringMap, struct } from '../../../../clustermesh/wire/go-json.ts';

describe('JSON in the manner of Go', () => {
  test('escapes what Go escapes, and nothing else', () => {
    expect(goJson('<a href="x">&\u2028\u2029\u00e9\u{1f600}\u007f\n\u0001')).toBe(
      String.raw`"\u003ca href=\"x\"\u003e\u0026\u2028\u2029` + '\u00e9\u{1f600}\u007f' + String.raw`\n\u0001"`,
    );
  });

  test('replaces what is no Unicode text', () => {
    expect(goJson('a\ud800b')).toBe('"a\ufffdb"');
  });

  test('keeps the order of struct members, also of integer-like ones, and leaves out undefined', () => {
    expect(goJson(struct(['b', 1], ['2', null], ['1', true], ['c', undefined]))).toBe('{"b":1,"2":null,"1":true}');
  });

  test('sorts maps by the bytes of their keys', () => {
    const map = new GoMap([
      ['9', 1],
      ['10', 2],
      ['\u{1f600}', 3],
      ['\uffee', 4],
      ['', 5],
      ['__proto__', 6],
    ]);
    expect(goJson(map)).toBe('{"":5,"10":2,"9":1,"__proto__":6,"\uffee":4,"\u{1f600}":3}');
  });

  test('tells null, empty and absent apart', () => {
    expect(goJson([stringMap(null), stringMap({}), []])).toBe('[null,{},[]]');
    expect([omitEmpty(''), omitEmpty(0), omitEmpty(false), omitEmpty([]), omitEmpty(stringMap({}))]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
    expect(goJson(struct(['zero', 0], ['text', '']))).toBe('{"zero":0,"text":""}');
  });
});
