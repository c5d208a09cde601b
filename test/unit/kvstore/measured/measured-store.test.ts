import { describe, expect, test } from '@jest/globals';
import { EngineStore, MemoryEngine, type Store, measureStore, storeMetrics } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { createMetrics } from '../../../../runtime/metrics/index.ts';

describe('A measured store', () => {
  test('counts each operation by scope, kind, action and outcome', async () => {
    const clock = new VirtualClock();
    const metrics = createMetrics({ prefix: 'isthmus_' });
    await using engine = new MemoryEngine({ clock });
    await using store: Store = measureStore(
      new EngineStore(engine, { clock, endpoint: 'memory' }),
      clock,
      storeMetrics(metrics),
    );
    const key = 'cilium/state/nodes/v1/east/n1';
    await store.put(key, 'a');
    await store.get(key);
    for await (const _ of store.list('cilium/state/nodes/v1/')) break;
    await store.transact({ when: [], then: [{ type: 'put', key: 'cilium/.heartbeat', value: 'now' }] });
    await store.delete(key);
    await expect(store.put(key, 'b', { lease: 7n })).rejects.toMatchObject({ code: 'KVSTORE_LEASE_NOT_FOUND' });
    const stop = new AbortController();
    for await (const batch of store.listAndWatch('cilium/', { signal: stop.signal })) {
      await clock.advance(4);
      if (batch.type === 'synced') stop.abort();
    }
    const lines = (await metrics.text()).split('\n').filter((line) => line.includes('_count{'));
    const name = 'isthmus_kvstore_operations_duration_seconds_count';
    const scope = 'scope="nodes/v1"';
    expect(lines.toSorted()).toEqual(
      [
        `${name}{${scope},kind="set",action="Update",outcome="success"} 1`,
        `${name}{${scope},kind="set",action="Update",outcome="error"} 1`,
        `${name}{${scope},kind="read",action="Get",outcome="success"} 1`,
        `${name}{${scope},kind="read",action="ListPrefix",outcome="success"} 1`,
        `${name}{scope="cilium/.hear",kind="set",action="Transact",outcome="success"} 1`,
        `${name}{${scope},kind="delete",action="Delete",outcome="success"} 1`,
        'isthmus_kvstore_events_queue_seconds_count{scope="cilium/",action="create"} 1',
        'isthmus_kvstore_events_queue_seconds_count{scope="cilium/",action="listDone"} 1',
      ].toSorted(),
    );
    expect(await metrics.text()).toContain(
      'isthmus_kvstore_events_queue_seconds_bucket{le="0.002",scope="cilium/",action="create"} 0',
    );
  });
});
