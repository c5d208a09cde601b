import { expect, jest, test } from '@jest/globals';
import { Caretaker } from '../../../clustermesh/apiserver/caretaker.ts';
import { publishedSets } from '../../../clustermesh/apiserver/published-sets.ts';
import { openConsulStore, parseConsulConfig } from '../../../kvstore/index.ts';
import { systemClock as clock } from '../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../runtime/log/index.ts';
import { startConsul } from '../../support/consul.ts';
import { until } from '../../support/until.ts';

jest.setTimeout(60_000);

test('More is kept in a Consul than it takes in one transaction', async () => {
  await using consul = await startConsul();
  const { ignored: _, ...config } = parseConsulConfig(`addresses: [${consul.endpoint}]`, 'consul.yaml');
  await using store = openConsulStore({ ...config, clock, log });
  const former = await store.grantLease({ ttlSeconds: 900 });
  const keys = Array.from({ length: 130 }, (_, n) => `cilium/state/services/v1/east/shop/s${n}`);
  for (const key of keys) await store.put(key, 'value', { lease: former.id });
  await using caretaker = new Caretaker({
    clusterName: 'east',
    sets: publishedSets({ clusterName: 'east', kinds: ['CiliumNode'], services: true, serviceExports: false }),
    store,
    clock,
    log,
    leaseTtlSeconds: 900,
    mayKeep: () => Promise.resolve([]),
  });
  const stop = new AbortController();
  const running = caretaker.run(stop.signal).catch((error: unknown) => error);
  await until(async () => {
    for (const key of keys) if ((await store.get(key))?.lease === former.id) return false;
    return true;
  });
  stop.abort();
  await running;
  await former.revoke();
  for (const key of keys) expect(await store.get(key)).toBeDefined();
});
