import { describe, expect, test } from '@jest/globals';
import type { JournaledChange } from '../../../../kvstore/consul/journal/index.ts';
import { readNote } from '../../../../kvstore/consul/journal/index.ts';
import { RawEntry } from '../../../../kvstore/consul/scan/raw-entry.ts';
import { type Snapshot, KnownEntries, eventsOf } from '../../../../kvstore/consul/watch/known-entries.ts';
import { toText } from '../../../../kvstore/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

interface Row {
  readonly value: string;
  readonly created: number;
  readonly modified: number;
}

/** A Consul of one prefix, its history, and what has been told of it. */
class Model {
  readonly history: ReadonlyMap<string, Row>[] = [new Map()];
  readonly told = new Map<string, string>();
  readonly lastOf = new Map<string, number>();
  readonly known = new KnownEntries();
  #asOf = 0;

  get revision(): number {
    return this.history.length - 1;
  }

  /** One write, and the note of it. */
  write(name: string, value: string | undefined): JournaledChange {
    const rows = new Map(this.history.at(-1));
    const revision = this.history.length;
    if (value === undefined) rows.delete(name);
    else rows.set(name, { value, created: rows.get(name)?.created ?? revision, modified: revision });
    this.history.push(rows);
    if (value === undefined) return { name, revision };
    return { name, revision, value: { base64: base64(value), session: '', lease: 0n } };
  }

  journal(change: JournaledChange): void {
    const event = this.known.journal(change);
    if (event) this.tell([event]);
  }

  /** A snapshot of a revision, read in two halves with something in between. */
  begin(revision: number): { readonly snapshot: Snapshot; readonly finish: () => void } {
    const snapshot = this.known.compare(false);
    const rows = [...(this.history[revision] ?? [])];
    const half = rows.length >> 1;
    const see = (part: typeof rows): void => part.forEach(([name, row]) => snapshot.see(rawOf(name, row)));
    see(rows.slice(0, half));
    return {
      snapshot,
      finish: () => {
        see(rows.slice(half));
        // A change that seems older than what was known would mean another store.
        expect(snapshot.oldestChange).toBeGreaterThan(this.#asOf);
        this.tell(eventsOf(snapshot.apply(revision), revision));
        this.#asOf = revision;
        const names = new Set([...this.told.keys(), ...rows.map(([name]) => name)]);
        const state = new Map(rows);
        // What the journal has not told anything newer of is as the snapshot says.
        for (const name of names)
          if ((this.lastOf.get(name) ?? 0) <= revision) expect(this.told.get(name)).toBe(state.get(name)?.value);
      },
    };
  }

  tell(events: ReturnType<typeof eventsOf>): void {
    for (const event of events) {
      const key = toText(event.type === 'put' ? event.entry.key : event.key);
      const revision = event.type === 'put' ? event.entry.modRevision : event.revision;
      expect(revision).toBeGreaterThan(this.lastOf.get(key) ?? 0);
      this.lastOf.set(key, revision);
      if (event.type === 'put') this.told.set(key, toText(event.entry.value));
      else expect(this.told.delete(key)).toBe(true);
    }
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function rawOf(name: string, row: Row): RawEntry {
  const raw = new RawEntry();
  raw.key = name;
  raw.createIndex = row.created;
  raw.modifyIndex = row.modified;
  const bytes = Buffer.from(base64(row.value));
  raw.setValue(bytes, 0, bytes.length);
  return raw;
}

describe('What is known of a prefix', () => {
  test.each(Array.from({ length: 200 }, (_, seed) => ({ seed })))(
    'comes to the truth, each change told once and none taken back, whatever the journal misses or is late with ($seed)',
    ({ seed }) => {
      const random = new Random(seed);
      const model = new Model();
      const notes: JournaledChange[] = [];
      let asOf = 0;
      for (let step = 0; step < 150; step++) {
        const name = `k${random.int(6)}`;
        const there = model.history.at(-1)?.has(name) === true;
        const note = model.write(name, there && random.chance(0.3) ? undefined : `${step}`);
        // A stranger tells the journal nothing.
        if (random.chance(0.7)) notes.push(note);
        const deliver = (): void => {
          while (notes.length > 0 && random.chance(0.6)) {
            const next = notes.shift();
            if (next && next.revision > asOf) model.journal(next);
          }
        };
        deliver();
        if (random.chance(0.4)) {
          const revision = asOf + random.int(model.revision - asOf + 1);
          const reading = model.begin(revision);
          deliver();
          reading.finish();
          asOf = revision;
        }
      }
      model.begin(model.revision).finish();
      const truth = new Map([...(model.history.at(-1) ?? [])].map(([name, { value }]) => [name, value]));
      expect(model.told).toEqual(truth);
    },
  );

  test('can be split and put together again', () => {
    const model = new Model();
    for (let i = 0; i < 20; i++) model.write(`k${i}`, `${i}`);
    model.begin(model.revision).finish();
    const parts = model.known.split((name) => name.slice(0, 2));
    expect(model.known.size).toBe(0);
    expect([...parts.values()].map(({ size }) => size).reduce((a, b) => a + b, 0)).toBe(20);
    for (const part of parts.values()) model.known.absorb(part);
    model.begin(model.revision).finish();
    expect(model.known.size).toBe(20);
  });
});

describe('A note of the journal', () => {
  test.each(['', 'null', '{}', '[1]', '[[]]', '[[1]]', '[["k","dg==",7]]', '[["k","dg==","no session"]]', '[[""]]'])(
    'is passed over when it is %j',
    (text) => {
      expect(readNote(text, 5)).toBeUndefined();
    },
  );

  test('tells puts and deletions', () => {
    const session = '00000000-0000-0000-0000-0000000000ff';
    expect(readNote(JSON.stringify([['a', 'dg==', ''], ['b'], ['c', '', session]]), 9)).toEqual([
      { name: 'a', revision: 9, value: { base64: 'dg==', session: '', lease: 0n } },
      { name: 'b', revision: 9 },
      { name: 'c', revision: 9, value: { base64: '', session, lease: 255n } },
    ]);
  });
});
