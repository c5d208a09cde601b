import { expect, test } from '@jest/globals';
import { sharedText } from '../../../../values/text/index.ts';

test('gives every text back as it was', () => {
  for (const text of ['', 'app', 'größer', '\ud800', 'a\0b', '🚂'.repeat(100)]) {
    expect(sharedText(text)).toBe(text);
    expect(sharedText(text)).toBe(text);
  }
});

test('goes on after more texts than it remembers', () => {
  for (let i = 0; i < 20_000; i++) expect(sharedText(`app-${i}`)).toBe(`app-${i}`);
  expect(sharedText('app-1')).toBe('app-1');
});
