import { describe, expect, test } from '@jest/globals';
import { type AutoCompaction, compactAutomatically } from '../../../../kvstore/engine/index.ts';
import { MemoryEngine } from '../../../../kvstore/memory/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

async function compactedAfter(policy: AutoCompaction, minutes: number): Promise<number> {
  const clock = new VirtualClock();
  await using engine = new MemoryEngine({ clock });
  const stopping = new AbortController();
  const running = compactAutomatically(engine, policy, { clock }, stopping.signal);
  for (let minute = 0; minute < minutes; minute++) {
    await engine.put({ key: Buffer.from('a'), value: Buffer.from(`${minute}`) });
    await clock.advance(60_000);
  }
  stopping.abort();
  await running;
  return engine.compactRevision;
}

describe('automatic compaction', () => {
  test('keeps what is younger than the retention', async () => {
    expect(await compactedAfter({ mode: 'age', retentionMs: 10 * 60_000 }, 9)).toBe(0);
    // 30 puts in 30 minutes make revisions 2 to 31; the newest note older than ten minutes is of minute 20.
    expect(await compactedAfter({ mode: 'age', retentionMs: 10 * 60_000 }, 30)).toBeGreaterThanOrEqual(20);
    expect(await compactedAfter({ mode: 'age', retentionMs: 10 * 60_000 }, 30)).toBeLessThanOrEqual(22);
  });

  test('keeps the last revisions', async () => {
    const compacted = await compactedAfter({ mode: 'revisions', revisions: 5 }, 21);
    expect(compacted).toBeGreaterThanOrEqual(15);
    expect(compacted).toBeLessThanOrEqual(17);
  });

  test('keeps everything when it is off', async () => {
    expect(await compactedAfter({ mode: 'off' }, 30)).toBe(0);
  });
});
