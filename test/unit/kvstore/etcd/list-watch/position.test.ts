import { describe, expect, test } from '@jest/globals';
import { type WatchEvent, toBytes } from '../../../../../kvstore/index.ts';
import { matches } from '../../../../../kvstore/etcd/list-watch/fingerprint.ts';
import { Position } from '../../../../../kvstore/etcd/list-watch/position.ts';

const entry = (key: string, value: string, modRevision: number, version = 1) => ({
  key: toBytes(key),
  value: toBytes(value),
  createRevision: 1,
  modRevision,
  version,
  lease: 0n,
});
const put = (key: string, value: string, revision: number, version = 1): WatchEvent => ({
  type: 'put',
  entry: entry(key, value, revision, version),
});
const del = (key: string, revision: number): WatchEvent => ({ type: 'delete', key: toBytes(key), revision });
const header = (revision: number, raftTerm = 2n, clusterId = 1n) => ({ clusterId, memberId: 1n, revision, raftTerm });
const notice = {
  header: header(500),
  watchId: 0n,
  created: false,
  canceled: false,
  compactRevision: 0,
  cancelReason: '',
  events: 0,
};

function listed(revision = 100): Position {
  const position = new Position();
  position.observe(header(revision));
  position.listRevision = revision;
  position.finishListing();
  return position;
}

describe('the position in a watched prefix', () => {
  test('starts right behind the listing', () => {
    expect(listed(100).next).toBe(101);
  });

  test('moves to behind the last event, whatever revision the header shows', () => {
    const position = listed();
    position.applyEvents([put('a', '1', 110), put('b', '1', 120)]);
    position.applyNotice({ ...notice, events: 2 });
    expect(position.next).toBe(121);
  });

  test.each([
    { what: 'created', change: { created: true }, next: 101 },
    { what: 'canceled', change: { canceled: true }, next: 101 },
    { what: 'an answer to a manual progress request', change: { watchId: -1n }, next: 101 },
    { what: 'a progress notice of this watch', change: {}, next: 501 },
    { what: 'a progress notice of the past', change: { header: header(50) }, next: 101 },
  ])('after $what is at $next', ({ change, next }) => {
    const position = listed();
    position.applyNotice({ ...notice, ...change });
    expect(position.next).toBe(next);
  });

  test('knows a store by its id and by an election count that never falls', () => {
    const position = listed();
    expect(position.knows(header(1, 2n, 1n))).toBe(true);
    expect(position.knows(header(1, 3n, 1n))).toBe(true);
    expect(position.knows(header(1, 1n, 1n))).toBe(false);
    expect(position.knows(header(1, 2n, 9n))).toBe(false);
  });

  test('counts the keys that exist', () => {
    const position = listed();
    position.applyEvents([put('a', '1', 101), put('a', '2', 102, 2), put('b', '1', 103), del('a', 104)]);
    expect(position.keys).toBe(1);
  });

  test('has the newest key that still exists as its proof', () => {
    const position = listed();
    position.applyEvents([put('a', '1', 101), put('b', '1', 102), del('b', 103)]);
    const proof = position.recent.all.at(-1);
    expect(proof && matches(proof, entry('a', '1', 101))).toBe(true);
    expect(proof && matches(proof, entry('a', 'other', 101))).toBe(false);
    expect(proof && matches(proof, entry('a', '1', 99))).toBe(false);
    expect(proof && matches(proof, undefined)).toBe(false);
  });

  test('does not take an overwritten key for a proof', () => {
    const position = listed();
    position.applyEvents([put('a', '1', 101)]);
    const many = Array.from({ length: 20 }, (_, i) => put(`k${i}`, '1', 103 + i));
    position.applyEvents([put('a', '2', 102, 2), ...many, ...many.map((_, i) => del(`k${i}`, 200 + i))]);
    expect(position.recent.all).toEqual([]);
    expect(position.keys).toBe(1);
  });
});
