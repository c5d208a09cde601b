import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const root = new URL('../../../../', import.meta.url);

/** Ids of promises as the document gives them. */
function promised(): string[] {
  const text = readFileSync(new URL('docs/store-contract.md', root), 'utf8');
  return [...text.matchAll(/^\| \*\*([A-Z]\d)\*\* \|/gm)].map(([, id]) => id ?? '');
}

/** Ids under which the suite enters cases. */
function tested(): Set<string> {
  const suite = new URL('test/contract/store/suite/', root);
  const ids = readdirSync(suite).flatMap((name) => {
    const text = readFileSync(new URL(name, suite), 'utf8');
    return [...text.matchAll(/\(\s*'([A-Z]\d)',\s/g)].map(([, id]) => id ?? '');
  });
  return new Set(ids);
}

test('every promise of the store contract has a case, and every case a promise', () => {
  expect([...tested()].toSorted()).toEqual(promised().toSorted());
});

test('no promise stands there twice', () => {
  expect(new Set(promised()).size).toBe(promised().length);
});
