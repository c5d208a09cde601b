import { describe, expect, test } from '@jest/globals';
import type { EngineCompare, RangeRequest, RequestOp } from '../../../../kvstore/contract/index.ts';
import { MvccEngine, type Row, type View } from '../../../../kvstore/engine/index.ts';
import { readTxnSteps } from '../../../../kvstore/engine/read-txn.ts';
import { rangeSteps } from '../../../../kvstore/engine/read.ts';
import { type Steps, stepRows } from '../../../../kvstore/engine/steps.ts';
import { MemoryBackend } from '../../../../kvstore/memory/memory-backend.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const keys = 3000;
const everything = { key: bytes('k'), rangeEnd: bytes('l') };

/** A view that counts the rows looked at since {@link take}. */
class Counting {
  #looked = 0;
  readonly view: View;

  constructor(view: View) {
    const count = (): void => void (this.#looked += 1);
    this.view = {
      ...view,
      get: (key) => (count(), view.get(key)),
      *range(span, revision): Generator<Row | undefined, void, void> {
        for (const row of view.range(span, revision)) {
          count();
          yield row;
        }
      },
    };
  }

  take(): number {
    const looked = this.#looked;
    this.#looked = 0;
    return looked;
  }
}

/** Does the work, and gives how many rows it looked at between two places where others may have their turn, at most. */
function longest<T>(steps: Steps<T>, counting: Counting): { readonly most: number; readonly all: number; value: T } {
  let most = 0;
  let all = 0;
  for (;;) {
    const step = steps.next();
    const looked = counting.take();
    most = Math.max(most, looked);
    all += looked;
    if (step.done) return { most, all, value: step.value };
  }
}

async function filled(): Promise<{ readonly backend: MemoryBackend; readonly engine: MvccEngine }> {
  const backend = new MemoryBackend();
  const engine = new MvccEngine(backend, {}, { clock: new VirtualClock() });
  await Promise.all(
    Array.from({ length: keys }, (_, i) =>
      engine.put({ key: bytes(`k${String(i).padStart(5, '0')}`), value: bytes(String((i * 7919) % 1000)) }),
    ),
  );
  return { backend, engine };
}

describe('a long read', () => {
  test.each<{ readonly what: string; readonly request: Partial<RangeRequest>; readonly count?: number }>([
    { what: 'of everything', request: {} },
    { what: 'of all keys', request: { keysOnly: true } },
    { what: 'that counts', request: { countOnly: true } },
    { what: 'of one page, which counts the others', request: { limit: 1 } },
    { what: 'of what nothing is', request: { minModRevision: 999_999, limit: 1 } },
    { what: 'in the order of changes', request: { sortTarget: 'mod', sortOrder: 'descend', limit: 1 } },
    { what: 'in the order of values', request: { sortTarget: 'value', sortOrder: 'ascend' } },
    { what: 'of a time when almost nothing was there', request: { revision: 3 }, count: 2 },
    { what: 'that counts what was there then', request: { revision: 3, countOnly: true }, count: 2 },
  ])('$what makes way after so many rows', async ({ request, count = keys }) => {
    const { backend, engine } = await filled();
    await using _ = engine;
    const counting = new Counting(backend.latest);
    const { most, all, value } = longest(rangeSteps(counting.view, { ...everything, ...request }), counting);
    expect(value.count).toBe(count);
    expect(most).toBeLessThanOrEqual(stepRows);
    // The counter itself is not asleep; the count of a view is its own.
    if (!request.countOnly || request.revision) expect(all).toBeGreaterThan(1);
  });

  test('of large values makes way after a few of them, and tells how much it holds', async () => {
    const backend = new MemoryBackend();
    await using engine = new MvccEngine(backend, {}, { clock: new VirtualClock() });
    const size = 1024 ** 2;
    for (let i = 0; i < 20; i++) await engine.put({ key: bytes(`k${i}`), value: new Uint8Array(size) });
    const counting = new Counting(backend.latest);
    let held = 0;
    const took = (more: number): void => void (held += more);
    expect(longest(rangeSteps(counting.view, everything, { took }), counting).most).toBeLessThanOrEqual(3);
    expect(held).toBeGreaterThan(20 * size);
  });

  test.each<{ readonly what: string; readonly compare?: EngineCompare[]; readonly success?: RequestOp[] }>([
    {
      what: 'that reads everything, nested ones too',
      success: Array.from({ length: 3 }, () => ({
        type: 'txn',
        request: { compare: [], success: [{ type: 'range', request: everything }], failure: [] },
      })),
    },
    {
      what: 'that compares everything',
      compare: Array.from({ length: 3 }, () => ({ ...everything, target: 'version', result: 'equal', version: 1 })),
    },
    {
      what: 'that looks at many keys, one by one',
      compare: Array.from({ length: 100 }, () => ({ key: bytes('k00001'), target: 'mod', result: 'greater' })),
      success: Array.from({ length: 100 }, () => ({ type: 'range', request: { key: bytes('k00001') } })),
    },
  ])('in a transaction $what makes way as well', async ({ compare = [], success = [] }) => {
    const { backend, engine } = await filled();
    await using _ = engine;
    const counting = new Counting(backend.latest);
    const { most, all, value } = longest(readTxnSteps(counting.view, { compare, success, failure: [] }), counting);
    expect(value).toMatchObject({ succeeded: true, revision: keys + 1 });
    expect(most).toBeLessThanOrEqual(stepRows);
    expect(all).toBeGreaterThanOrEqual(200);
  });
});
