import { expect, test } from '@jest/globals';
import { EngineStore, MemoryEngine, ReadMirror } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger } from '../../../../runtime/log/index.ts';
import { until } from '../../../support/until.ts';

test('a mirror whose store never holds what is awaited is served after ten minutes, once', async () => {
  const clock = new VirtualClock();
  await using engine = new MemoryEngine({ clock });
  await using store = new EngineStore(engine, { clock, endpoint: 'source' });
  await store.put('cilium/cluster-config/east', '{}');
  let [opened, closed] = [0, 0];
  const mirror = new ReadMirror({
    from: store,
    prefix: 'cilium/',
    awaited: ['cilium/cluster-config/east', 'cilium/synced/east/never'],
    clock,
    log: silentLogger,
    serve: async () => {
      opened += 1;
      return { [Symbol.asyncDispose]: async () => void (closed += 1) };
    },
  });
  const stopping = new AbortController();
  const done = mirror.run(stopping.signal);
  await until(
    () => mirror.status().keys === 1,
    () => clock.advance(10),
  );
  await clock.advance(9 * 60_000);
  expect([opened, mirror.status().synced]).toEqual([0, false]);
  await until(
    () => opened === 1,
    () => clock.advance(10_000),
  );
  expect(mirror.status().synced).toBe(true);
  await store.put('cilium/synced/east/never', 'after all');
  await until(
    () => mirror.status().keys === 2,
    () => clock.advance(10),
  );
  stopping.abort();
  await done;
  expect([opened, closed]).toEqual([1, 1]);
});
