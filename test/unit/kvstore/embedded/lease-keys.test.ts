import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { LmdbBackend } from '../../../../kvstore/embedded/lmdb-backend.ts';
import { openLog } from '../../../../kvstore/embedded/open-log.ts';
import { openTables } from '../../../../kvstore/embedded/tables.ts';
import { MvccEngine, keyText } from '../../../../kvstore/engine/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));
const sorted = (keys: readonly Uint8Array[]): string[] => keys.map(keyText).toSorted();
const count = 3000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'isthmus-lease-keys-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function open(): Promise<{ backend: LmdbBackend; engine: MvccEngine; clock: VirtualClock }> {
  const clock = new VirtualClock();
  const tables = await openTables(directory);
  const backend = new LmdbBackend(tables, { log: openLog(tables), clock });
  return { backend, engine: new MvccEngine(backend, {}, { clock }), clock };
}

/** A store that was started again: nobody has looked at the lease's keys yet. */
async function reopened(): Promise<Awaited<ReturnType<typeof open>>> {
  {
    const { engine } = await open();
    await using _ = engine;
    await engine.leaseGrant({ id: 7n, ttl: 600 });
    await Promise.all(
      Array.from({ length: count }, (_each, i) => engine.put({ key: bytes(`k${i}`), value: bytes('x'), lease: 7n })),
    );
  }
  return await open();
}

describe('the keys of a lease', () => {
  test('are read in steps', async () => {
    const { backend, engine } = await reopened();
    await using _ = engine;
    const steps = backend.leaseKeysSteps(7n);
    let yielded = 0;
    let step = steps.next();
    for (; !step.done; step = steps.next()) yielded += 1;
    expect(yielded).toBeGreaterThanOrEqual(5);
    expect(step.value).toHaveLength(count);
    expect(sorted(step.value)).toEqual(sorted(backend.leaseKeys(7n)));
    expect((await engine.leaseTimeToLive(7n, true)).keys).toHaveLength(count);
  });

  test('are right also when they change meanwhile', async () => {
    const { backend, engine, clock } = await reopened();
    await using _ = engine;
    const steps = backend.leaseKeysSteps(7n);
    steps.next();
    await engine.put({ key: bytes('k1'), value: bytes('without lease') });
    await engine.deleteRange({ key: bytes('k2'), rangeEnd: bytes('k3') });
    await engine.put({ key: bytes('new'), value: bytes('x'), lease: 7n });
    await clock.advance(20);
    let step = steps.next();
    while (!step.done) step = steps.next();
    const keys = sorted(step.value);
    expect(keys).toEqual(sorted(backend.leaseKeys(7n)));
    expect(keys).toContain('new');
    expect(keys).not.toContain('k1');
    expect(keys).not.toContain('k2000');
  });

  test('are nobody’s once it is revoked while they are read', async () => {
    const { engine } = await reopened();
    await using _ = engine;
    const asking = engine.leaseTimeToLive(7n, true);
    await engine.leaseRevoke(7n);
    const { ttl, keys } = await asking;
    if (ttl === -1) expect(keys).toEqual([]);
    else expect(keys).toHaveLength(count);
    expect(await engine.leaseTimeToLive(7n, true)).toMatchObject({ ttl: -1, keys: [] });
  });
});
