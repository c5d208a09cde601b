import { describe, expect, test } from '@jest/globals';
import { Apiserver, clusterConfigKey } from '../../../../clustermesh/index.ts';
import { MemorySource } from '../../../../kubernetes/index.ts';
import {
  EngineStore,
  MemoryEngine,
  NoSpaceError,
  StoreElection,
  openEtcdStore,
  urgentStore,
} from '../../../../kvstore/index.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';
import { serveEngine } from '../../../support/served-engine.ts';
import { until } from '../../../support/until.ts';
import { namespace, pod, service, slice } from './harness.ts';

/** A client that has this much to do yet. */
function keepBusy(read: () => Promise<unknown>, requests: number): { readonly waiting: number } {
  const state = { waiting: requests };
  for (let i = 0; i < requests; i++)
    void read()
      .catch(() => undefined)
      .finally(() => (state.waiting -= 1));
  return state;
}

describe('While more is to be written than the limit on requests lets through', () => {
  test('a cluster config that is lost comes back all the same, with its lease, too', async () => {
    await using served = await serveEngine('memory');
    const endpoints = [`http://${served.endpoint}`];
    await using direct = openEtcdStore({ endpoints, clock, log });
    await using store = openEtcdStore({ endpoints, clock, log, limits: { qps: 2, bootstrapQps: 10_000 } });
    const source = new MemorySource();
    source.markSynced();
    const options = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0, store, source, clock, log };
    await using apiserver = new Apiserver(options);
    const stop = new AbortController();
    const running = apiserver.run(stop.signal).catch(() => undefined);
    try {
      await until(() => apiserver.ready);
      store.bootstrapped();
      const key = clusterConfigKey('east');
      const before = await direct.get(key);
      const queue = keepBusy(() => store.get('x', { signal: stop.signal }), 60);
      await direct.delete(key);
      await until(async () => (await direct.get(key)) !== undefined);
      await served.engine.leaseRevoke(before?.lease ?? 0n);
      await until(async () => ((await direct.get(key))?.lease ?? before?.lease) !== before?.lease);
      expect(queue.waiting).toBeGreaterThan(30);
    } finally {
      stop.abort();
      await running;
    }
  });

  test('backends of a service do not wait for the identities of pods', async () => {
    await using served = await serveEngine('memory');
    const endpoints = [`http://${served.endpoint}`];
    await using direct = openEtcdStore({ endpoints, clock, log });
    await using store = openEtcdStore({ endpoints, clock, log, limits: { qps: 10, bootstrapQps: 10_000 } });
    const source = new MemorySource();
    for (const object of [...namespace('shop'), ...service('web')]) source.set(object);
    source.markSynced();
    const options = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0, store, source, clock, log };
    await using apiserver = new Apiserver(options);
    const stop = new AbortController();
    const running = apiserver.run(stop.signal).catch(() => undefined);
    try {
      await until(() => apiserver.ready);
      store.bootstrapped();
      for (let i = 0; i < 100; i++)
        for (const object of pod(`p${i}`, { app: `a${i}`, ip: `10.1.0.${i}` })) source.set(object);
      for (const object of slice('s', 'web')) source.set(object);
      await until(async () => (await direct.get('cilium/state/endpointslices/v1/east/shop/s')) !== undefined);
      expect(apiserver.status().counts.identities).toBeLessThan(60);
    } finally {
      stop.abort();
      await running;
    }
  });

  test('is said as the reason why nothing is written when the store is full, and not any more once there is room', async () => {
    await using engine = new MemoryEngine({ clock });
    const store = new EngineStore(engine, { clock, endpoint: 'memory' });
    let full = false;
    const transact = store.transact.bind(store);
    Object.assign(store, {
      transact: async (...asked: Parameters<typeof transact>) => {
        if (full) throw new NoSpaceError('database space exceeded');
        return await transact(...asked);
      },
    });
    const source = new MemorySource();
    source.markSynced();
    const options = { clusterName: 'east', clusterId: 1, identityOpeningMs: 0, store, source, clock, log };
    await using apiserver = new Apiserver(options);
    const stop = new AbortController();
    const running = apiserver.run(stop.signal).catch(() => undefined);
    try {
      await until(() => apiserver.ready);
      expect(apiserver.status()).not.toHaveProperty('unwritten');
      full = true;
      for (const object of namespace('shop')) source.set(object);
      await until(() => apiserver.status().unwritten === 'database space exceeded');
      expect(apiserver.ready).toBe(true);
      full = false;
      await until(() => apiserver.status().unwritten === undefined);
    } finally {
      stop.abort();
      await running;
    }
  });

  test('a leader renews its office in time', async () => {
    await using served = await serveEngine('memory');
    const endpoints = [`http://${served.endpoint}`];
    await using store = openEtcdStore({ endpoints, clock, log, limits: { qps: 2, maxInflight: 2 } });
    await using direct = openEtcdStore({ endpoints, clock, log });
    const stop = new AbortController();
    const election = new StoreElection({
      store: urgentStore(store),
      key: 'office',
      identity: 'a',
      termMs: 2_000,
      clock,
      log,
    });
    const queue = keepBusy(() => store.get('x', { signal: stop.signal }), 60);
    const leading = election
      .run(stop.signal, (term) => new Promise((resolve) => term.addEventListener('abort', () => resolve())))
      .catch(() => undefined);
    try {
      await until(async () => ((await direct.get('office'))?.version ?? 0) >= 2);
      expect(queue.waiting).toBeGreaterThan(30);
    } finally {
      stop.abort();
      await leading;
    }
  });
});
