import { expect, test } from '@jest/globals';
import { etcdTuning, onceReady, publisherDefaults, steady } from '../../../cli/etcd-tuning.ts';
import { MemoryEngine, openStore, serveEtcd } from '../../../kvstore/index.ts';
import { VirtualClock, systemClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { UsageError } from '../../../runtime/options/index.ts';

test('limits have Cilium’s names and defaults', () => {
  expect(etcdTuning([])).toEqual({ limits: { qps: 20, maxInflight: 20 } });
  expect(etcdTuning(['etcd.qps=7', 'etcd.bootstrapQps=100', 'etcd.maxInflight=3'])).toEqual({
    limits: { qps: 7, bootstrapQps: 100, maxInflight: 3 },
  });
  expect(etcdTuning(['etcd.bootstrapQps=50'], publisherDefaults).limits.bootstrapQps).toBe(50);
  expect(steady(etcdTuning([], publisherDefaults))).toEqual({ limits: { qps: 20, maxInflight: 20 } });
});

test.each(['etcd.qsp=1', 'etcd.qps=0', 'etcd.qps', 'consul.address=x'])('%s is a mistake in the usage', (text) => {
  expect(() => etcdTuning([text])).toThrow(UsageError);
  expect(() => etcdTuning([text])).toThrow(/^--kvstore-opt /);
});

test('a store that is opened with limits keeps to them until its owner has started up', async () => {
  await using engine = new MemoryEngine({ clock: systemClock });
  const common = { clock: systemClock, log: silentLogger };
  await using server = await serveEtcd({ engine, listen: { host: '127.0.0.1', port: 0 }, ...common });
  const { host, port } = server.address();
  const tuning = etcdTuning(['etcd.qps=1', 'etcd.bootstrapQps=1000']);
  await using opened = await openStore({ kind: 'etcd', endpoint: `http://${host}:${port}` }, { ...common, tuning });
  for (let i = 0; i < 20; i++) await opened.store.get('a');
  opened.bootstrapped();
  const before = performance.now();
  await opened.store.get('a');
  await opened.store.get('a');
  expect(performance.now() - before).toBeGreaterThan(900);
});

test('what is to happen once a process is ready happens once, and not when it stops before', async () => {
  const clock = new VirtualClock();
  const stop = new AbortController();
  let ready = false;
  let called = 0;
  const waiting = onceReady(
    () => ready,
    () => (called += 1),
    { clock, signal: stop.signal },
  );
  await clock.advance(5_000);
  expect(called).toBe(0);
  ready = true;
  await clock.advance(1_000);
  await waiting;
  expect(called).toBe(1);
  const stopped = onceReady(
    () => false,
    () => (called += 1),
    { clock, signal: stop.signal },
  );
  stop.abort();
  await stopped;
  expect(called).toBe(1);
});
