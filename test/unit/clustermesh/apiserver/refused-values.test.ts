import { expect, test } from '@jest/globals';
import { Apiserver } from '../../../../clustermesh/index.ts';
import { type EndpointSlice, type KubernetesObject, MemorySource } from '../../../../kubernetes/index.ts';
import { openEtcdStore } from '../../../../kvstore/index.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';
import { serveEngine } from '../../../support/served-engine.ts';
import { until } from '../../../support/until.ts';
import { namespace, service, slice } from './harness.ts';

test('A service that is too large for the store is skipped and named: the set is complete without it', async () => {
  await using served = await serveEngine('memory');
  await using store = openEtcdStore({ endpoints: [`http://${served.endpoint}`], clock, log });
  const source = new MemorySource();
  // A service with some 15,000 backends and names for each is longer than the 1.5 MiB of etcd's default.
  const slices = (count: number): KubernetesObject[] =>
    Array.from({ length: count }, (_, i) => {
      const [one] = slice(`h-${i}`, 'huge');
      if (one?.kind !== 'EndpointSlice') throw new Error('a slice');
      const endpoint = one.endpoints[0] as EndpointSlice['endpoints'][number];
      const endpoints = Array.from({ length: 1000 }, (__, j) => ({
        ...endpoint,
        addresses: [`10.${i}.${j >> 8}.${j & 255}`],
        hostname: `backend-${i}-${j}`,
      }));
      return { ...one, endpoints };
    });
  const objects = [...namespace('shop'), ...service('small'), ...service('huge')];
  for (const object of [...objects, ...slice('s', 'small'), ...slices(15)]) source.set(object);
  source.markSynced();
  const options = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0, store, source, clock, log };
  await using apiserver = new Apiserver(options);
  const stop = new AbortController();
  const running = apiserver.run(stop.signal).catch(() => undefined);
  try {
    await until(() => apiserver.ready);
    expect(await store.get('cilium/synced/east/cilium/state/services/v1')).toBeDefined();
    expect(await store.get('cilium/state/services/v1/east/shop/small')).toBeDefined();
    const key = 'cilium/state/services/v1/east/shop/huge';
    expect(await store.get(key)).toBeUndefined();
    expect(apiserver.status().errors).toContainEqual({ object: key, reason: expect.stringContaining('too large') });
    for (let i = 2; i < 15; i++) source.delete('EndpointSlice', 'shop', `h-${i}`);
    await until(async () => (await store.get(key)) !== undefined);
    await until(() => apiserver.status().errors.length === 0);
  } finally {
    stop.abort();
    await running;
  }
});
