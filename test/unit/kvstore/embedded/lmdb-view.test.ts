import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { openLog } from '../../../../kvstore/embedded/open-log.ts';
import { openTables } from '../../../../kvstore/embedded/tables.ts';
import { MvccEngine, type Snapshot, Span, keyText } from '../../../../kvstore/engine/index.ts';
import { type Steps, atOnce } from '../../../../kvstore/engine/steps.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { until } from '../../../support/until.ts';
import { randomFrom } from '../random.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const everything = new Span({ key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) });
const keys = Array.from({ length: 30 }, (_, i) => `k${String(i).padStart(2, '0')}`);

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-view-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Rows go to the tables when the clock says so. */
async function open(): Promise<{ backend: LmdbBackend; engine: MvccEngine; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const tables = await openTables(directory);
  const backend = new LmdbBackend(tables, { log: openLog(tables), clock });
  return { backend, engine: new MvccEngine(backend, {}, { clock }), clock };
}

function steps<T>(work: Steps<T>): { readonly count: number; readonly value: T } {
  for (let count = 0; ; count++) {
    const step = work.next();
    if (step.done) return { count, value: step.value };
  }
}

/** Everything that the view has at its own and at an older revision, by range, key by key, and counted. */
function seen(view: Snapshot, older: number): unknown {
  const rows = [...view.range(everything)].filter((row) => row !== undefined);
  const olderRows = [...view.range(everything, older)].filter((row) => row !== undefined);
  const text = (row: (typeof rows)[number] | undefined): string =>
    row ? `${keyText(row.kv.key)}=${keyText(row.kv.value)}@${row.kv.modRevision}` : '';
  return {
    revision: view.revision,
    rows: rows.map(text),
    count: atOnce(view.count(everything)),
    part: atOnce(view.count(new Span({ key: bytes('k05'), rangeEnd: bytes('k15') }))),
    each: keys.map((key) => text(view.get(bytes(key)))),
    older: olderRows.map(text),
    olderEach: keys.map((key) => text(atOnce(view.at(bytes(key), older)))),
  };
}

describe('a snapshot', () => {
  test.each([1, 2, 3])(
    'shows the same for as long as it is held, whatever happens meanwhile (seed %d)',
    async (seed) => {
      const { backend, engine, clock } = await open();
      await using _ = engine;
      const random = randomFrom(seed);
      const key = (): Uint8Array => bytes(keys[Math.floor(random() * keys.length)] ?? 'k');
      const held: { readonly view: Snapshot; readonly older: number; readonly first: unknown }[] = [];
      for (let round = 0; round < 60; round++) {
        const writes = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, i) =>
          random() < 0.6
            ? engine.put({ key: key(), value: bytes(`${round}.${i}`) })
            : engine.deleteRange({ key: key(), ...(random() < 0.3 ? { rangeEnd: key() } : {}) }),
        );
        if (random() < 0.4) {
          const view = backend.snapshot();
          const older = Math.max(view.compactRevision, 1 + Math.floor(random() * view.revision));
          held.push({ view, older, first: seen(view, older) });
        }
        await Promise.all(writes);
        if (random() < 0.3) await clock.advance(20);
        if (random() < 0.05 && engine.revision > 2) await engine.compact(engine.revision - 1);
        for (const { view, older, first } of held) expect(seen(view, older)).toEqual(first);
        if (held.length > 4) held.shift()?.view[Symbol.dispose]();
      }
      for (const { view } of held) view[Symbol.dispose]();
      expect(engine.revision).toBeGreaterThan(30);
    },
  );

  test('counts in steps, and what is not in the tables yet too', async () => {
    const { backend, engine, clock } = await open();
    await using _ = engine;
    const put = (i: number): Promise<unknown> => engine.put({ key: bytes(`k${i}`), value: bytes('x') });
    await Promise.all(Array.from({ length: 20_000 }, (_, i) => put(i)));
    await clock.advance(20);
    await until(() => backend.latest.revision === 20_001);
    await Promise.all(Array.from({ length: 2000 }, (_, i) => put(19_000 + i)));
    await engine.deleteRange({ key: bytes('k1'), rangeEnd: bytes('k10') });
    using snapshot = backend.snapshot();
    const { count, value } = steps(snapshot.count(everything));
    expect(value).toBe(20_999);
    expect(count).toBeGreaterThanOrEqual(2);
  });

  test('looks for an old version of a key in steps', async () => {
    const { backend, engine } = await open();
    await using _ = engine;
    await Promise.all(Array.from({ length: 1000 }, (_, i) => engine.put({ key: bytes('a'), value: bytes(String(i)) })));
    using snapshot = backend.snapshot();
    const { count, value } = steps(snapshot.at(bytes('a'), 2));
    expect(value?.kv.version).toBe(1);
    expect(count).toBeGreaterThanOrEqual(10);
    expect([...snapshot.range(everything, 2)].length).toBe(1000);
  });

  test('what an event replaced is the row right before it, not the newest one walked back', async () => {
    const { backend, engine } = await open();
    await using _ = engine;
    for (let i = 0; i < 5; i++) await engine.put({ key: bytes('a'), value: bytes(String(i)) });
    await engine.txn({
      compare: [],
      success: [
        { type: 'delete', request: { key: bytes('a'), rangeEnd: new Uint8Array([0]) } },
        { type: 'put', request: { key: bytes('a'), value: bytes('again') } },
      ],
      failure: [],
    });
    const before = [...backend.log(2)].map((row) => backend.replacedBy(row)?.kv.modRevision);
    expect(before).toEqual([undefined, 2, 3, 4, 5, 6, 6]);
  });
});
