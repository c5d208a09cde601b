import { describe, expect, test } from '@jest/globals';
import { KvStoreError, toBytes } from '../../../../kvstore/contract/index.ts';
import { RangeReader } from '../../../../kvstore/etcd/list-watch/range-reader.ts';
import { WatchReader } from '../../../../kvstore/etcd/list-watch/watch-reader.ts';
import { FrameReader, type Method, decode, encodeFrame, methods } from '../../../../kvstore/etcd/wire/index.ts';
import { mutate, piecesOf } from '../../../support/mutate.ts';
import { Random } from '../../../../runtime/random/index.ts';

// 10⁵ inputs in all; the same ones in every run.
const listings = 45_000;
const watches = 35_000;
const answers = 20_000;

const header = (random: Random) => ({
  clusterId: 7n,
  memberId: 8n,
  revision: 1 + random.int(1_000_000),
  raftTerm: BigInt(random.int(5)),
});

const keyValue = (random: Random, i: number) => ({
  key: toBytes(`some/prefix/${i}`),
  value: toBytes('v'.repeat(random.pick([0, 1, 20, 200]))),
  createRevision: 1 + random.int(1000),
  modRevision: 1001 + i,
  version: 1 + random.int(3),
  lease: BigInt(random.int(2)),
});

function listingOf(random: Random): Buffer {
  const kvs = Array.from({ length: random.int(12) }, (_, i) => keyValue(random, i));
  return encodeFrame(methods.range.response, {
    header: header(random),
    kvs,
    more: random.chance(0.3),
    count: kvs.length,
  });
}

function watchOf(random: Random): Buffer {
  const responses = Array.from({ length: 1 + random.int(4) }, () => {
    const events = Array.from({ length: random.int(6) }, (_, i) => ({
      type: random.pick(['put', 'delete'] as const),
      kv: keyValue(random, i),
    }));
    return encodeFrame(methods.watch.response, {
      header: header(random),
      watchId: BigInt(random.int(3) - 1),
      created: random.chance(0.2),
      canceled: random.chance(0.1),
      compactRevision: random.int(2),
      cancelReason: random.chance(0.1) ? 'because' : '',
      events,
    });
  });
  return Buffer.concat(responses);
}

/** What a fuzzed reader did that it must not do, in words; at most a few. */
class Findings {
  readonly found: string[] = [];
  refused = 0;

  add(what: string): void {
    if (this.found.length < 5) this.found.push(what);
  }

  /** Runs what may only succeed or throw an error of the contract. True when it succeeded. */
  attempt(input: string, run: () => void): boolean {
    try {
      run();
      return true;
    } catch (error) {
      this.refused += 1;
      if (!(error instanceof KvStoreError)) this.add(`${input}: ${String(error)}`);
      return false;
    }
  }
}

/** Every third input is whole, every third is cut off somewhere, every third is mutilated. */
function inputOf(
  whole: Buffer,
  random: Random,
  i: number,
): { readonly bytes: Buffer; readonly kind: 'whole' | 'cut' | 'mutated' } {
  if (i % 3 === 0) return { bytes: whole, kind: 'whole' };
  if (i % 3 === 1) return { bytes: whole.subarray(0, random.int(whole.length)), kind: 'cut' };
  return { bytes: mutate(whole, random), kind: 'mutated' };
}

function fuzzListings(count: number, createReader: () => RangeReader): Findings {
  const findings = new Findings();
  const random = new Random(1);
  for (let i = 0; i < count; i++) {
    const { bytes, kind } = inputOf(listingOf(random), random, i);
    const reader = createReader();
    const taken: ReturnType<RangeReader['take']>[] = [];
    const accepted = findings.attempt(`listing ${i}`, () => {
      for (const piece of piecesOf(bytes, random)) {
        reader.push(piece);
        if (random.chance(0.3)) taken.push(reader.take(3));
      }
      reader.finish();
      taken.push(reader.take(Infinity));
    });
    const keys = keysOf(taken, findings, `listing ${i}`);
    if (kind === 'cut' && accepted) findings.add(`listing ${i}: a part of it was taken for all`);
    if (kind !== 'whole') continue;
    const expected = decode(methods.range.response, bytes.subarray(5)).kvs.map(({ key }) =>
      Buffer.from(key).toString(),
    );
    if (!accepted || keys.join() !== expected.join()) findings.add(`listing ${i}: it was not read as it is`);
  }
  return findings;
}

/** What was handed over is read by somebody else, later: it must not fail there. */
function keysOf(parts: readonly ReturnType<RangeReader['take']>[], findings: Findings, input: string): string[] {
  try {
    const events = parts.flatMap((part) => part.events);
    return events.map((event) => Buffer.from(event.type === 'put' ? event.entry.key : event.key).toString());
  } catch (error) {
    findings.add(`${input}: what was handed over fails: ${String(error)}`);
    return [];
  }
}

function fuzzWatches(count: number, createReader: () => WatchReader): Findings {
  const findings = new Findings();
  const random = new Random(2);
  for (let i = 0; i < count; i++) {
    const { bytes, kind } = inputOf(watchOf(random), random, i);
    const reader = createReader();
    const taken: ReturnType<RangeReader['take']>[] = [];
    let told = 0;
    const accepted = findings.attempt(`watch ${i}`, () => {
      for (const piece of piecesOf(bytes, random)) {
        reader.push(piece);
        taken.push(reader.takeEvents());
        for (const notice of reader.takeNotices()) told += notice.events;
      }
    });
    const events = keysOf(taken, findings, `watch ${i}`).length;
    if (kind === 'whole' && (!accepted || !reader.idle || events !== told))
      findings.add(`watch ${i}: ${events} of ${told}`);
    if (kind === 'cut' && accepted && reader.idle && !endsAtMessage(bytes))
      findings.add(`watch ${i}: its end was taken for one`);
  }
  return findings;
}

function endsAtMessage(bytes: Buffer): boolean {
  let at = 0;
  while (at + 5 <= bytes.length) at += 5 + bytes.readUInt32BE(at + 1);
  return at === bytes.length;
}

function fuzzAnswers(count: number): Findings {
  const findings = new Findings();
  const random = new Random(3);
  const all = Object.values(methods) as unknown as readonly Method<unknown, unknown, unknown, unknown>[];
  for (let i = 0; i < count; i++) {
    const { response, path } = all[i % all.length] ?? methods.range;
    const whole = encodeFrame(response as Method<unknown, unknown, unknown, object>['response'], {
      header: header(random),
      kvs: [keyValue(random, 1)],
      responses: [{ put: { header: header(random) } }, { range: { kvs: [keyValue(random, 2)] } }],
      succeeded: true,
      id: 77n,
      ttl: 10,
      token: 'abc',
      error: 'no',
      members: [{ id: 1n, name: 'm', peerUrls: ['x'], clientUrls: ['y'] }],
    });
    const bytes = mutate(whole, random);
    const reader = new FrameReader({ maxBytes: 1 << 20 });
    findings.attempt(`${path} ${i}`, () => {
      for (const piece of piecesOf(bytes, random)) for (const message of reader.push(piece)) decode(response, message);
    });
  }
  return findings;
}

/** Accepts a listing that was cut off, as long as its header has come. */
class TakesPartForAll extends RangeReader {
  override finish() {
    return this.header ?? super.finish();
  }
}

/** Thinks that it is always between two messages. */
class AlwaysIdle extends WatchReader {
  override get idle(): boolean {
    return true;
  }
}

describe('what a store may send', () => {
  test('never breaks the reader of listings, and never passes for more than it is', () => {
    const { found, refused } = fuzzListings(listings, () => new RangeReader());
    expect(found).toEqual([]);
    expect(refused).toBeGreaterThan(listings / 3);
  }, 120_000);

  test('never breaks the reader of watches', () => {
    const { found, refused } = fuzzWatches(watches, () => new WatchReader());
    expect(found).toEqual([]);
    expect(refused).toBeGreaterThan(watches / 10);
  }, 120_000);

  test('never breaks the reader of single answers', () => {
    const { found, refused } = fuzzAnswers(answers);
    expect(found).toEqual([]);
    expect(refused).toBeGreaterThan(answers / 10);
  }, 120_000);

  test('would show a reader that takes a part of a listing for all of it', () => {
    expect(fuzzListings(300, () => new TakesPartForAll()).found.join()).toContain('a part of it was taken for all');
  });

  test('would show a reader that takes any end of a watch for a whole one', () => {
    expect(fuzzWatches(300, () => new AlwaysIdle()).found.join()).toContain('its end was taken for one');
  });

  test('would show a reader that breaks', () => {
    class Breaks extends RangeReader {
      override push(chunk: Uint8Array): void {
        if (chunk.length > 200) throw new TypeError('Cannot read properties of undefined');
        super.push(chunk);
      }
    }
    expect(fuzzListings(300, () => new Breaks()).found.join()).toContain('Cannot read properties');
  });
});
