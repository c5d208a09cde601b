import { describe, expect, test } from '@jest/globals';
import { HpackError, decodeHeaders, encodeHeaders } from '../../../../../kvstore/etcd/http2/hpack.ts';
import { decodeHuffman } from '../../../../../kvstore/etcd/http2/huffman.ts';

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex');

describe('Huffman’s code of HPACK', () => {
  test.each([
    // RFC 7541, appendix C.4 and C.6.
    ['f1e3 c2e5 f23a 6ba0 ab90 f4ff', 'www.example.com'],
    ['a8eb 1064 9cbf', 'no-cache'],
    ['25a8 49e9 5ba9 7d7f', 'custom-key'],
    ['6402', '302'],
    ['d07a be94 1054 d444 a820 0595 040b 8166 e082 a62d 1bff', 'Mon, 21 Oct 2013 20:13:21 GMT'],
    ['9d29 ad17 1863 c78f 0b97 c8e9 ae82 ae43 d3', 'https://www.example.com'],
    ['', ''],
  ])('gives %s its meaning', (hex, text) => {
    const code = bytes(hex);
    expect(decodeHuffman(code, 0, code.length)).toBe(text);
  });

  test.each([
    ['the code that stands for the end', 'ffff ffff'],
    ['padding of zeros', '00 00'.replace('00 00', '18')],
    ['padding of more than seven ones', '1f ff'],
  ])('is none: %s', (_, hex) => {
    const code = bytes(hex);
    expect(decodeHuffman(code, 0, code.length)).toBeUndefined();
  });
});

describe('a block of headers', () => {
  test('is read as RFC 7541 writes it', () => {
    // C.6.1 without what it would put into a table: indexed, and literals of three kinds.
    const block = bytes(
      '88 40 0a63 7573 746f 6d2d 6b65 79 0d63 7573 746f 6d2d 6865 6164 6572 0f10 0361 6263 1f10 0178',
    );
    expect([...decodeHeaders(block)]).toEqual([
      [':status', '200'],
      ['custom-key', 'custom-header'],
      ['content-type', 'x'],
    ]);
  });

  test('may begin with an announcement of no table, not of one', () => {
    expect([...decodeHeaders(bytes('20 88'))]).toEqual([[':status', '200']]);
    expect(() => decodeHeaders(bytes('3f e1 1f 88'))).toThrow(HpackError);
  });

  test.each([
    ['a number that has no header', 'be'],
    ['number 0', '80'],
    ['a text longer than the block', '00 05 61'],
    ['nothing behind a name', '00 01 61'],
    ['a number without end', 'ff ff ff ff ff ff ff ff ff 01'],
    ['a length that is cut', '00 7f'],
    ['a text that is no Huffman code', '00 81 00 01 61'],
  ])('is refused: %s', (_, hex) => {
    expect(() => decodeHeaders(bytes(hex))).toThrow(HpackError);
  });

  test('comes back as it was written, however long', () => {
    const headers = [
      [':path', '/etcdserverpb.KV/Range'],
      ['short', ''],
      ['token', 'x'.repeat(126)],
      ['long', 'y'.repeat(127)],
      ['longer', 'z'.repeat(70_000)],
    ] as const;
    expect([...decodeHeaders(encodeHeaders(headers))]).toEqual(headers);
  });
});
