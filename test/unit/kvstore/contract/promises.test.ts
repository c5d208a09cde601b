import { readFileSync, readdirSync } from 'node:fs';
import { expect, test } from '@jest/globals';

const root = new URL('../../../../', import.meta.url);

/** Ids of promises as the document gives them. */
function promised(): string[] {
  const text = readFileSync(new URL('docs/store-contract.md', root), 'utf8');
  return [...text.matchAll(/^\| \*\*([A-Z]\d)\*\* \|/gm)].map(([, id]) => id ?? '');
}

/** Ids that the files of the suite give in this way. */
function idsIn(pattern: RegExp): string[] {
  const suite = new URL('test/contract/store/suite/', root);
  const ids = readdirSync(suite).flatMap((name) => {
    const text = readFileSync(new URL(name, suite), 'utf8');
    return [...text.matchAll(pattern)].map(([, id]) => id ?? '');
  });
  return [...new Set(ids)].toSorted();
}

test('every promise of the store contract has a case, and every case a promise', () => {
  expect(idsIn(/\(\s*'([A-Z]\d)',\s/g)).toEqual(promised().toSorted());
});

test('every promise has a store that breaks it, which the suite must find', () => {
  expect(idsIn(/\bpromise: '([A-Z]\d)'/g)).toEqual(promised().toSorted());
});

test('no promise stands there twice', () => {
  expect(new Set(promised()).size).toBe(promised().length);
});
