import { expect, jest, test } from '@jest/globals';
import { SyncStore } from '../../../../kvstore/index.ts';
import { systemClock as clock } from '../../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';
import { startConsul } from '../../../support/consul.ts';
import { needs } from '../../../support/probe.ts';
import { clientOf } from './support.ts';

jest.setTimeout(60_000);

needs('consul')('In a Consul', () => {
  test('more of an earlier life is removed than one transaction takes', async () => {
    await using server = await startConsul();
    await using store = clientOf(server);
    await using earlier = await store.grantLease({ ttlSeconds: 900 });
    const keys = Array.from({ length: 150 }, (_, n) => `mesh/${String(n)}`);
    for (const key of keys) await store.put(key, 'x', { lease: earlier.id });
    await using sync = new SyncStore({ store, clock, log, scope: 'mesh', leaseTtlSeconds: 900 });
    expect(await sync.sweep('mesh/', (key) => key !== 'mesh/7')).toBe(149);
    const left = await Promise.all(keys.map((key) => store.get(key)));
    expect(keys.filter((_, n) => left[n] !== undefined)).toEqual(['mesh/7']);
  });
});
