import { expect, test } from '@jest/globals';
import { quoted } from '../../../../kvstore/contract/index.ts';

test.each([
  { bytes: Buffer.from('cilium/state/a "b"\n'), shown: String.raw`"cilium/state/a \"b\"\n"` },
  { bytes: Buffer.from('grüße'), shown: '"grüße"' },
  { bytes: Buffer.from([0x61, 0xff, 0xfe, 0x22, 0x5c, 0x0a]), shown: String.raw`"a\xff\xfe\x22\x5c\x0a"` },
])('a key is shown as $shown', ({ bytes, shown }) => {
  expect(quoted(bytes)).toBe(shown);
});
