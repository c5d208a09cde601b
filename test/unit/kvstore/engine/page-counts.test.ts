import { describe, expect, test } from '@jest/globals';
import { MvccEngine } from '../../../../kvstore/engine/index.ts';
import { MemoryBackend } from '../../../../kvstore/memory/memory-backend.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

/** Tells how often somebody counted. */
class CountingBackend extends MemoryBackend {
  counted = 0;
  override get latest() {
    const view = super.latest;
    return { ...view, count: (...args: Parameters<typeof view.count>) => (this.counted++, view.count(...args)) };
  }
}

describe('the count of a page', () => {
  test('is not remembered for bounds that no key can have', async () => {
    const backend = new CountingBackend();
    await using engine = new MvccEngine(backend, {}, { clock: new VirtualClock() });
    for (const key of ['a', 'b', 'c', 'd']) await engine.put({ key: bytes(key), value: bytes('x') });
    const rangeEnd = new Uint8Array(100_000).fill(101);
    const first = await engine.range({ key: bytes('a'), rangeEnd, limit: 1 });
    const second = await engine.range({ key: bytes('a\0'), rangeEnd, limit: 1, revision: first.revision });
    expect([first.count, second.count]).toEqual([4, 3]);
    expect(backend.counted).toBe(2);
  });

  test('is right on every page, also while others write, and is found once', async () => {
    const backend = new CountingBackend();
    await using engine = new MvccEngine(backend, {}, { clock: new VirtualClock() });
    for (let i = 0; i < 100; i++) await engine.put({ key: bytes(`k${String(i).padStart(2, '0')}`), value: bytes('x') });
    const rangeEnd = bytes('l');
    let key = bytes('k');
    let revision = 0;
    const counts: number[] = [];
    for (let more = true; more;) {
      const page = await engine.range({ key, rangeEnd, limit: 30, revision });
      counts.push(page.count);
      ({ more } = page);
      revision ||= page.revision;
      key = new Uint8Array([...(page.kvs.at(-1)?.key ?? []), 0]);
      await engine.deleteRange({ key: bytes(`k${counts.length}9`) });
      await engine.put({ key: bytes(`k9${counts.length}a`), value: bytes('x') });
    }
    expect(counts).toEqual([100, 70, 40, 10]);
    expect(backend.counted).toBe(1);
    expect((await engine.range({ key: bytes('k'), rangeEnd, limit: 30 })).count).toBe(100);
    expect((await engine.range({ key: bytes('k5'), rangeEnd, limit: 3, revision })).count).toBe(50);
    expect((await engine.range({ key: bytes('k30'), rangeEnd: bytes('k40'), limit: 3, revision })).count).toBe(10);
  });

  test('is that of the whole range for a listing in descending order', async () => {
    await using engine = new MvccEngine(new MemoryBackend(), {}, { clock: new VirtualClock() });
    for (let i = 0; i < 10; i++) await engine.put({ key: bytes(`k${i}`), value: bytes('x') });
    const descending = { rangeEnd: bytes('l'), limit: 3, sortOrder: 'descend', sortTarget: 'key' } as const;
    expect((await engine.range({ key: bytes('k'), ...descending })).count).toBe(10);
    expect((await engine.range({ key: bytes('k8'), ...descending })).count).toBe(2);
    expect((await engine.range({ key: new Uint8Array([...bytes('k7'), 0]), rangeEnd: bytes('l') })).count).toBe(2);
  });
});
