import { describe, expect, test } from '@jest/globals';
import { type KeyValue, ProtocolError, toBytes, toText } from '../../../../../kvstore/index.ts';
import { RangeReader } from '../../../../../kvstore/etcd/list-watch/range-reader.ts';
import { type WatchNotice, WatchReader } from '../../../../../kvstore/etcd/list-watch/watch-reader.ts';
import { encodeFrame, rangeResponse, watchResponse } from '../../../../../kvstore/etcd/wire/index.ts';
import { randomFrom } from '../../random.ts';

const header = { clusterId: 7n, memberId: 8n, revision: 41, raftTerm: 3n };

const kv = (i: number, revision = i, size = 20): KeyValue => ({
  key: toBytes(`some/prefix/${i}`),
  value: toBytes('v'.repeat(size)),
  createRevision: 1,
  modRevision: revision,
  version: 2,
  lease: 0n,
});

/** Cuts bytes at random places, into many tiny and a few large pieces. */
function* pieces(bytes: Uint8Array, random: () => number): Generator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length;) {
    const size = 1 + Math.floor(random() ** 3 * 200);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const seeds = Array.from({ length: 20 }, (_, seed) => seed);

describe('the range reader', () => {
  test.each(seeds)('gives the same entries however the answer is cut (seed %i)', (seed) => {
    const random = randomFrom(seed);
    const kvs = Array.from({ length: 30 }, (_, i) => kv(i, i + 1, i % 7 === 0 ? 3000 : i));
    const reader = new RangeReader();
    const entries: KeyValue[] = [];
    for (const piece of pieces(encodeFrame(rangeResponse, { header, kvs, more: true, count: 99 }), random)) {
      reader.push(piece);
      if (random() < 0.3) entries.push(...reader.take(2).entries);
    }
    entries.push(...reader.take(1000).entries);
    expect(reader.finish()).toEqual(header);
    expect({ more: reader.more, count: reader.count }).toEqual({ more: true, count: 99 });
    expect(entries.map((entry) => [toText(entry.key), entry.value.length, entry.modRevision])).toEqual(
      kvs.map((entry) => [toText(entry.key), entry.value.length, entry.modRevision]),
    );
  });

  test('reads an empty listing', () => {
    const reader = new RangeReader();
    reader.push(encodeFrame(rangeResponse, { header }));
    expect(reader.finish()).toEqual(header);
    expect(reader.take(10).entries).toEqual([]);
  });

  test.each([
    { what: 'nothing', bytes: Buffer.alloc(0) },
    { what: 'an empty message', bytes: Buffer.alloc(5) },
    { what: 'a part of a message', bytes: encodeFrame(rangeResponse, { header, kvs: [kv(1), kv(2)] }).subarray(0, -3) },
    { what: 'a part of a prefix', bytes: Buffer.alloc(3) },
    {
      what: 'two messages',
      bytes: Buffer.concat([encodeFrame(rangeResponse, { header }), encodeFrame(rangeResponse, { header })]),
    },
  ])('does not take $what for an answer', ({ bytes }) => {
    const reader = new RangeReader();
    const read = (): unknown => {
      reader.push(bytes);
      return reader.finish();
    };
    expect(read).toThrow(ProtocolError);
  });

  test('refuses a field that runs over the end of its message', () => {
    const frame = encodeFrame(rangeResponse, { header, kvs: [kv(1)] });
    frame.writeUInt32BE(frame.length - 5 - 10, 1);
    expect(() => new RangeReader().push(frame)).toThrow(ProtocolError);
  });

  test('refuses a compressed message', () => {
    const frame = encodeFrame(rangeResponse, { header });
    frame[0] = 1;
    expect(() => new RangeReader().push(frame)).toThrow('compressed');
  });
});

describe('the watch reader', () => {
  const put = (i: number, revision: number) => ({ type: 'put' as const, kv: kv(i, revision) });
  const del = (i: number, revision: number) => ({
    type: 'delete' as const,
    kv: { ...kv(i, revision), value: new Uint8Array(0), createRevision: 0, version: 0 },
  });

  test('tells which kinds of changes came, without making objects of them', () => {
    const kindsOf = (...events: readonly (ReturnType<typeof put> | ReturnType<typeof del>)[]) => {
      const reader = new WatchReader();
      reader.push(encodeFrame(watchResponse, { header, events }));
      return reader.takeEvents().kinds;
    };
    const first = { type: 'put' as const, kv: { ...kv(7, 12), version: 1 } };
    expect(kindsOf(put(1, 10), put(2, 11))).toEqual({ created: false, modified: true, deleted: false });
    expect(kindsOf(first)).toEqual({ created: true, modified: false, deleted: false });
    expect(kindsOf(del(1, 10), first)).toEqual({ created: true, modified: false, deleted: true });
    expect(new WatchReader().takeEvents().kinds).toEqual({ created: false, modified: false, deleted: false });
  });

  test.each(seeds)('never gives a part of a revision, however the responses are cut (seed %i)', (seed) => {
    const random = randomFrom(seed);
    const responses = [
      { header, created: true },
      { header, events: [put(1, 10), put(2, 10), del(3, 10), put(4, 11), put(5, 12), put(6, 12)] },
      { header, events: [del(1, 13)] },
      { header },
      { header, canceled: true, compactRevision: 12, cancelReason: 'gone' },
    ];
    const bytes = Buffer.concat(responses.map((response) => encodeFrame(watchResponse, response)));
    const expectedSizes = new Map([
      [10, 3],
      [11, 1],
      [12, 2],
      [13, 1],
    ]);
    const reader = new WatchReader();
    const seen: (readonly [string, string, number])[] = [];
    const notices: WatchNotice[] = [];
    for (const piece of pieces(bytes, random)) {
      reader.push(piece);
      const { events } = reader.takeEvents();
      const revisions = events.map((event) => (event.type === 'put' ? event.entry.modRevision : event.revision));
      for (const revision of new Set(revisions))
        expect(revisions.filter((other) => other === revision)).toHaveLength(expectedSizes.get(revision) ?? 0);
      for (const event of events)
        seen.push(
          event.type === 'put'
            ? ['put', toText(event.entry.key), event.entry.modRevision]
            : ['delete', toText(event.key), event.revision],
        );
      notices.push(...reader.takeNotices());
    }
    expect(reader.idle).toBe(true);
    expect(seen).toEqual([
      ['put', 'some/prefix/1', 10],
      ['put', 'some/prefix/2', 10],
      ['delete', 'some/prefix/3', 10],
      ['put', 'some/prefix/4', 11],
      ['put', 'some/prefix/5', 12],
      ['put', 'some/prefix/6', 12],
      ['delete', 'some/prefix/1', 13],
    ]);
    const base = { header, watchId: 0n, created: false, canceled: false, compactRevision: 0, cancelReason: '' };
    // Responses with nothing but events may be told as one.
    const told = notices.filter(({ events }) => events > 0);
    expect(told.reduce((sum, { events }) => sum + events, 0)).toBe(7);
    for (const notice of told) expect(notice).toEqual({ ...base, events: notice.events });
    expect(notices.filter(({ events }) => events === 0)).toEqual([
      { ...base, created: true, events: 0 },
      { ...base, events: 0 },
      { ...base, canceled: true, compactRevision: 12, cancelReason: 'gone', events: 0 },
    ]);
  });
});
