import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from '@jest/globals';
import { clusterConfigKey } from '../../../../clustermesh/index.ts';
import { toText } from '../../../../kvstore/index.ts';
import { Link, Rig } from './support.ts';

describe('kvstoremesh', () => {
  let rig = new Rig();
  afterEach(async () => {
    await rig.stop();
    rig = new Rig();
  });
  const copied = async (names = ['west'], options = {}) => {
    const started = rig.start(names, options);
    await rig.until(
      () => started.mesh.clusters().length === names.length && started.mesh.clusters().every((one) => one.ready),
    );
    return started;
  };

  test('makes of the sample of a real cluster byte for byte what the real kvstoremesh made of it', async () => {
    const lines = (name: string): { key: string; value: Buffer }[] =>
      readFileSync(new URL(`../../../fixtures/cilium/${name}`, import.meta.url), 'utf8')
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { key: string; value?: string; valueBase64?: string })
        .map(({ key, value, valueBase64 }) => ({
          key,
          value: valueBase64 === undefined ? Buffer.from(value ?? '') : Buffer.from(valueBase64, 'base64'),
        }));
    const remote = rig.remote('cluster3', 3);
    for (const { key, value } of lines('cilium-state-sample.jsonl')) await remote.store.put(key, value);
    await remote.beat();
    await copied(['cluster3']);
    const own = ({ key }: { readonly key: string }): boolean => key.includes('/cluster3');
    const expected = lines('cilium-cache-sample.jsonl').filter(own);
    const found: { key: string; value: Buffer }[] = [];
    for await (const { entries } of rig.look.list('cilium/'))
      for (const { key, value } of entries) found.push({ key: toText(key), value: Buffer.from(value) });
    const shown = (all: { key: string; value: Buffer }[]): string[] =>
      all
        .filter(own)
        .map(({ key, value }) => `${key} ${key.startsWith('cilium/synced/') ? '' : value.toString('hex')}`);
    expect(shown(found)).toEqual(shown(expected));
    expect(expected.length).toBeGreaterThan(70);
  });

  test('is not ready while its store refuses it the lock, and names the reason, however long it has been ready before', async () => {
    await rig.remote().everything();
    const link = new Link(rig.local, rig.clock);
    link.refusesLocks = true;
    const { mesh } = rig.start(['west'], {}, link);
    await rig.pass(120_000);
    expect(mesh.waitingFor()).toEqual(['the lock of the leader: ACL not found']);
    expect(mesh.status()).toMatchObject({ ready: false, leader: false });
    link.refusesLocks = false;
    await rig.until(() => mesh.ready, 1000);
    // One that waits for its turn is ready, if its store takes it.
    const other = new Link(rig.local, rig.clock);
    other.refusesLocks = true;
    const { mesh: standby } = rig.start(['west'], {}, other);
    await rig.pass(60_000);
    expect(standby.ready).toBe(false);
    other.refusesLocks = false;
    await rig.pass(60_000);
    expect([mesh.leader, standby.leader, standby.ready]).toEqual([true, false, true]);
  });

  test('writes the configuration first, then the canaries of what there is none of, then data, then their canaries', async () => {
    await rig.remote().everything();
    const order: string[] = [];
    const controller = new AbortController();
    const following = (async () => {
      for await (const batch of rig.look.listAndWatch('cilium/', { signal: controller.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'put') order.push(toText(event.entry.key));
    })();
    await rig.clock.advance(0);
    await copied();
    controller.abort();
    await following;
    const [lock = '', first, ...rest] = order;
    expect(lock).toMatch(/^cilium\/kvstoremesh-lock\/[0-9a-f]+$/);
    expect(first).toBe('cilium/cluster-config/west');
    expect(rest[0]).toBe('cilium/synced/west/cilium/cache/endpointslices/v1');
    for (const resource of ['nodes', 'services', 'ip', 'identities']) {
      const canary = order.indexOf(`cilium/synced/west/cilium/cache/${resource}/v1`);
      const last = order.findLastIndex((key) => key.startsWith(`cilium/cache/${resource}/v1/west/`));
      expect(last).toBeGreaterThan(0);
      expect(canary).toBeGreaterThan(last);
    }
  });

  test('copies values bit for bit and keys as they are, but for slashes', async () => {
    const remote = rig.remote();
    await remote.everything();
    const binary = new Uint8Array([0, 255, 254, 10, 0]);
    await remote.put('ip', '10.2.1.7', binary);
    await remote.put('ip', '10.2.1.8', '');
    await remote.put('nodes', '/w//2/', 'slashes');
    await remote.put('nodes', 'a/../b', 'dots');
    await remote.put('identities', 'no-number', 'x');
    await remote.store.put(Buffer.concat([Buffer.from('cilium/state/nodes/v1/west/'), binary]), 'key of bytes');
    await remote.store.put('cilium/state/ip/v1/other/10.9.9.9', 'another address space');
    await remote.store.put('cilium/state/identities/v1/value/k8s:a=b;/10.0.0.1', '131073');
    await remote.store.put('isthmus/v1/services/shop/web', 'nobody else’s business');
    await copied();
    expect((await rig.look.get('cilium/cache/ip/v1/west/10.2.1.7'))?.value).toEqual(Buffer.from(binary));
    expect(await rig.held('cilium/cache/nodes/')).toEqual({
      'cilium/cache/nodes/v1/west/\u0000\ufffd\ufffd\n\u0000': 'key of bytes',
      'cilium/cache/nodes/v1/west/a/../b': 'dots',
      'cilium/cache/nodes/v1/west/w/2': 'slashes',
      'cilium/cache/nodes/v1/west/w1': 'node w1',
    });
    expect(Object.keys(await rig.held('cilium/cache/identities/'))).toEqual([
      'cilium/cache/identities/v1/west/id/131073',
      'cilium/cache/identities/v1/west/id/no-number',
    ]);
    expect(Object.keys(await rig.held('cilium/cache/ip/'))).toEqual([
      'cilium/cache/ip/v1/west/10.2.1.5',
      'cilium/cache/ip/v1/west/10.2.1.6',
      'cilium/cache/ip/v1/west/10.2.1.7',
      'cilium/cache/ip/v1/west/10.2.1.8',
    ]);
    expect(await rig.held('isthmus/')).toEqual({});
  });

  test('follows changes and deletions', async () => {
    const remote = rig.remote();
    await remote.everything();
    await copied();
    await remote.put('ip', '10.2.1.5', 'changed');
    await remote.delete('ip', '10.2.1.6');
    await remote.put('ip', '10.2.1.9', 'passing');
    await remote.delete('ip', '10.2.1.9');
    await remote.put('ip', '10.2.1.7', 'new');
    await rig.until(async () => (await rig.held('cilium/cache/ip/'))['cilium/cache/ip/v1/west/10.2.1.7'] === 'new');
    expect(await rig.held('cilium/cache/ip/')).toEqual({
      'cilium/cache/ip/v1/west/10.2.1.5': 'changed',
      'cilium/cache/ip/v1/west/10.2.1.7': 'new',
    });
  });

  test('reads a remote that is itself a cache from its cache', async () => {
    const remote = rig.remote();
    await remote.config({ cached: true, serviceExportsEnabled: true });
    await remote.beat();
    await remote.put('ip', '10.2.1.5', 'not this one');
    await remote.store.put('cilium/cache/ip/v1/west/10.2.9.9', 'this one');
    for (const kind of ['nodes', 'services', 'serviceexports', 'ip', 'identities'])
      await remote.store.put(`cilium/synced/west/cilium/cache/${kind}/v1`, '');
    await copied();
    expect(await rig.held('cilium/cache/')).toEqual({ 'cilium/cache/ip/v1/west/10.2.9.9': 'this one' });
    expect((await rig.held())['cilium/cluster-config/west']).toBe(
      '{"id":2,"capabilities":{"syncedCanaries":true,"cached":true,"maxConnectedClusters":255,"serviceExportsEnabled":true}}',
    );
  });

  test.each([
    { mode: 'prefer-legacy', says: 'services-and-endpointslices', services: true, slices: true },
    { mode: 'prefer-endpointslice', says: 'services-and-endpointslices', services: true, slices: true },
    { mode: 'only-endpointslice', says: 'services-and-endpointslices', services: false, slices: true },
    { mode: 'prefer-legacy', says: 'endpointslices-only', services: false, slices: true },
    { mode: 'prefer-legacy', says: undefined, services: true, slices: false },
    { mode: 'only-endpointslice', says: undefined, services: false, slices: false },
  ] as const)(
    'in mode $mode takes of a remote that says $says what it should',
    async ({ mode, says, services, slices }) => {
      const remote = rig.remote();
      await remote.everything();
      await remote.put('endpointslices', 'shop/web-abc', 'slice');
      await remote.config(says === undefined ? {} : { endpointSlicesExportMode: says });
      await copied(['west'], { serviceMode: mode });
      const keys = (await rig.copies()).join();
      expect({ services: keys.includes('/services/'), slices: keys.includes('/endpointslices/') }).toEqual({
        services,
        slices,
      });
      expect(Object.keys(await rig.held('cilium/synced/'))).toHaveLength(6);
    },
  );

  test('takes service exports only from a remote that can have some', async () => {
    const remote = rig.remote();
    await remote.everything();
    await remote.put('serviceexports', 'shop/web', 'export');
    await copied();
    expect((await rig.copies()).join()).toContain('serviceexports');
    await remote.store.put('cilium/cluster-config/west', '{"id":2,"capabilities":{"syncedCanaries":true}}');
    await rig.pass(20_000);
    await rig.until(async () => !(await rig.copies()).join().includes('serviceexports'));
    await rig.until(async () => (await rig.copies()).length > 3);
  });

  test('waits for the canary of each set, and of a remote that writes none for nothing', async () => {
    const remote = rig.remote();
    await remote.config();
    await remote.beat();
    await remote.records();
    await remote.canaries(['ip']);
    const { mesh } = rig.start();
    await rig.until(async () => (await rig.held())['cilium/synced/west/cilium/cache/ip/v1'] !== undefined);
    await rig.pass(5000);
    expect((await rig.copies()).every((key) => key.startsWith('cilium/cache/ip/'))).toBe(true);
    expect(mesh.clusters()).toMatchObject([{ ready: false, synced: { endpoints: true, nodes: false } }]);
    await remote.config({ syncedCanaries: false });
    await rig.until(() => mesh.clusters()[0]?.ready === true, 1000);
    expect(await rig.copies()).toHaveLength(5);
  });

  test('writes again what somebody removed of its canaries and configuration', async () => {
    await rig.remote().everything();
    await copied();
    const before = Object.keys(await rig.held('cilium/synced/'));
    for (const key of before.slice(0, 3)) await rig.look.delete(key);
    await rig.look.delete(clusterConfigKey('west'));
    await rig.pass(480_000);
    await rig.until(async () => (await rig.held())[clusterConfigKey('west')] !== undefined);
    expect(Object.keys(await rig.held('cilium/synced/'))).toEqual(before);
  });

  test('leaves what a restart finds in place, writes only what differs, and removes what has gone', async () => {
    const remote = rig.remote();
    await remote.everything();
    const { stop } = await copied();
    await stop();
    expect(await rig.copies()).toHaveLength(5);
    const before = new Map((await revisions(rig)).map(([key, revision]) => [key, revision]));
    await remote.delete('ip', '10.2.1.6');
    await remote.put('ip', '10.2.1.5', 'changed');
    await copied();
    const after = await revisions(rig);
    expect(after.map(([key]) => key)).toEqual([...before.keys()].filter((key) => !key.endsWith('10.2.1.6')));
    expect(after.filter(([key, revision]) => before.get(key) !== revision).map(([key]) => key)).toEqual([
      'cilium/cache/ip/v1/west/10.2.1.5',
    ]);
  });

  test('takes what the store cannot hold out of the rest, and names it', async () => {
    const remote = rig.remote();
    await remote.everything();
    await remote.put('ip', '10.2.1.9', 'too large for the local one');
    const { transact } = rig.localLink.store;
    const { InvalidRequestError } = await import('../../../../kvstore/index.ts');
    Object.assign(rig.localLink.store, {
      transact: (transaction: Parameters<typeof transact>[0], options: Parameters<typeof transact>[1]) => {
        if (
          transaction.then.some((one) => one.type === 'put' && toText(one.value as Uint8Array).startsWith('too large'))
        )
          throw new InvalidRequestError('request is too large');
        return transact(transaction, options);
      },
    });
    const { mesh } = await copied();
    expect(await rig.copies()).toHaveLength(5);
    expect(mesh.clusters()[0]?.refused).toEqual({
      total: 1,
      reasons: { store: 1 },
      keys: [{ kind: 'ip', key: 'cilium/cache/ip/v1/west/10.2.1.9', reason: 'request is too large' }],
    });
    await remote.delete('ip', '10.2.1.9');
    await rig.until(() => mesh.clusters()[0]?.refused.total === 0);
  });

  test('writes the heartbeat where asked to', async () => {
    rig.start([], { enableHeartbeat: true });
    await rig.until(async () => (await rig.held())['cilium/.heartbeat'] !== undefined);
    const first = (await rig.held())['cilium/.heartbeat'];
    await rig.clock.advance(61_000);
    expect((await rig.held())['cilium/.heartbeat']).not.toBe(first);
  });
});

async function revisions(rig: Rig): Promise<[string, number][]> {
  const found: [string, number][] = [];
  for await (const { entries } of rig.look.list('cilium/cache/'))
    for (const { key, modRevision } of entries) found.push([toText(key), modRevision]);
  return found;
}
