import { describe, expect, test } from '@jest/globals';
import { type KeyValue, type WatchEvent, toBytes, toText } from '../../../../../kvstore/index.ts';
import { evidenceFor } from '../../../../../kvstore/etcd/list-watch/evidence.ts';
import { Landmarks } from '../../../../../kvstore/etcd/list-watch/landmarks.ts';
import { Position } from '../../../../../kvstore/etcd/list-watch/position.ts';
import { VirtualClock } from '../../../../../runtime/clock/index.ts';

const prefix = toBytes('a/');
const entry = (key: string, modRevision: number): KeyValue => ({
  key: toBytes(key),
  value: toBytes('v'),
  createRevision: 1,
  modRevision,
  version: 1,
  lease: 0n,
});
const put = (key: string, modRevision: number): WatchEvent => ({ type: 'put', entry: entry(key, modRevision) });
const del = (key: string, revision: number): WatchEvent => ({ type: 'delete', key: toBytes(key), revision });
const landmark = (key: string, modRevision: number) => ({ key: toBytes(key), modRevision, value: toBytes('v') });

function listed(revision: number, ...events: readonly WatchEvent[]): Position {
  const position = new Position();
  position.listRevision = revision;
  position.finishListing();
  position.applyEvents(events);
  return position;
}

const newerThan = (min: number | undefined): string => (min === undefined ? '' : `newer than ${min - 1} `);
const asked = (position: Position): string[] =>
  evidenceFor(position, prefix).checks.map(
    ({ question }) =>
      `${question.countOnly === true ? 'count ' : ''}${newerThan(question.minModRevision)}${toText(question.key)}@${question.revision}`,
  );

describe('What proves a store after a reconnect', () => {
  test('is everything, where the last change was a key that is there', () => {
    const position = listed(10, put('a/1', 11), put('a/2', 12));
    expect(asked(position)).toEqual(['a/1@12', 'a/2@12']);
    expect(evidenceFor(position, prefix).upTo).toBe(12);
  });

  test('is less than is known, where progress was heard without a change', () => {
    const position = listed(10, put('a/1', 12));
    position.next = 101;
    expect(asked(position)).toEqual(['a/1@100']);
    expect(evidenceFor(position, prefix).upTo).toBe(12);
  });

  test('is what a neighbour has seen, where that is newer', () => {
    const position = listed(10, put('a/1', 12));
    position.next = 101;
    position.landmark = landmark('b/7', 90);
    expect(asked(position)).toEqual(['a/1@100', 'b/7@90']);
    expect(evidenceFor(position, prefix).upTo).toBe(90);
  });

  test('is a deletion, where that was last: the key was there before it, and not after', () => {
    const position = listed(10, put('a/1', 12), put('a/2', 13), del('a/2', 14));
    expect(asked(position)).toEqual(['a/1@14', 'a/2@13', 'a/2@14']);
    const { checks, upTo } = evidenceFor(position, prefix);
    expect(upTo).toBe(14);
    const found = { kvs: [entry('a/2', 13)], count: 1 };
    const none = { kvs: [], count: 0 };
    expect(checks.slice(1).map(({ holds }) => [holds(found), holds(none)])).toEqual([
      [true, false],
      [false, true],
    ]);
  });

  test('is that nothing is there, where nothing was', () => {
    const position = listed(10);
    position.next = 101;
    expect(asked(position)).toEqual(['count a/@100']);
    expect(evidenceFor(position, prefix).upTo).toBe(100);
  });

  test('is that no key is newer, and as many are there, where nothing was heard since a listing of older keys', () => {
    const position = new Position();
    position.applyEvents([put('a/1', 4)]);
    position.listRevision = 10;
    position.finishListing();
    expect(asked(position)).toEqual(['a/1@10', 'count a/@10', 'newer than 4 a/@10']);
    expect(evidenceFor(position, prefix).upTo).toBe(10);
  });
});

test.each([
  ['too far away to be watched again', (position: Position) => (position.next = 6_013)],
  [
    'compacted',
    (position: Position) => {
      position.next = 101;
      position.forgotten = true;
    },
  ],
])('Where what is not proven is %s, all keys are looked at', (_, change) => {
  const position = listed(10, put('a/1', 12));
  change(position);
  expect(asked(position).slice(1)).toEqual([`count a/@${position.revision}`, `newer than 12 a/@${position.revision}`]);
  expect(evidenceFor(position, prefix).upTo).toBe(position.revision);
});

test('Where the store has forgotten the past, or may not tell it, what is there at the position itself is looked at', () => {
  const position = listed(10, put('a/1', 12), put('a/2', 13), del('a/2', 14));
  position.next = 101;
  position.landmark = landmark('b/7', 90);
  expect(evidenceFor(position, prefix).looksBack).toBe(true);
  const { checks, upTo, looksBack } = evidenceFor(position, prefix, { presentOnly: true });
  expect(checks.map(({ question }) => [toText(question.key), question.revision, question.minModRevision])).toEqual([
    ['a/1', 100, undefined],
    ['a/', 100, undefined],
    ['a/', 100, 91],
  ]);
  expect([upTo, looksBack]).toEqual([100, false]);
});

describe('Landmarks', () => {
  test('are found by revision, the newest of those that are old enough', async () => {
    const clock = new VirtualClock();
    const landmarks = new Landmarks(clock);
    for (const revision of [10, 20, 30]) {
      landmarks.note(landmark('k', revision), 0);
      await clock.advance(2_000);
    }
    expect([9, 10, 29, 30, 99].map((revision) => landmarks.upTo(revision, 0)?.modRevision)).toEqual([
      undefined,
      10,
      20,
      30,
      30,
    ]);
    landmarks.forget(0);
    expect(landmarks.upTo(99, landmarks.era)).toBeUndefined();
  });

  test('of a store that another has found replaced prove nothing of the present one, nor the other way round', () => {
    const landmarks = new Landmarks(new VirtualClock());
    landmarks.note(landmark('k', 90), 0);
    landmarks.forget(0);
    landmarks.note(landmark('before', 95), 0);
    landmarks.note(landmark('after', 80), 1);
    expect([landmarks.upTo(99, 0), landmarks.upTo(99, 1)?.modRevision]).toEqual([undefined, 80]);
    // A second one finds out the same.
    landmarks.forget(0);
    expect([landmarks.era, landmarks.upTo(99, 1)?.modRevision]).toEqual([1, 80]);
  });

  test('of a busy prefix do not crowd out older ones, and one that is older than the newest is none', async () => {
    const clock = new VirtualClock();
    const landmarks = new Landmarks(clock);
    landmarks.note(landmark('old', 5), 0);
    await clock.advance(60_000);
    for (let revision = 100; revision < 10_000; revision++) landmarks.note(landmark('busy', revision), 0);
    landmarks.note(landmark('late', 50), 0);
    expect([landmarks.upTo(99, 0)?.modRevision, landmarks.upTo(20_000, 0)?.modRevision]).toEqual([5, 9_999]);
  });
});
