import { expect, test } from '@jest/globals';
import { SortedTexts } from '../../../../kvstore/engine/sorted-texts.ts';
import { randomFrom } from '../random.ts';

test('texts stay in order while thousands are added and taken away', () => {
  const random = randomFrom(7);
  const texts = new SortedTexts();
  const expected = new Set<string>();
  for (let i = 0; i < 6000; i++) {
    const text = `${Math.floor(random() * 4000)}`;
    if (random() < 0.35) {
      texts.delete(text);
      expected.delete(text);
    } else {
      texts.add(text);
      expected.add(text);
    }
  }
  const sorted = [...expected].toSorted();
  expect([...texts.range('', undefined)]).toEqual(sorted);
  expect([...texts.range('2', '3')]).toEqual(sorted.filter((text) => text >= '2' && text < '3'));
  expect([...texts.range('zzz', undefined)]).toEqual([]);
});
