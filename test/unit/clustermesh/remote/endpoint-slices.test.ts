import { afterEach, describe, expect, test } from '@jest/globals';
import {
  type EndpointSliceRecord,
  type ServiceMode,
  type SliceEndpoint,
  encodeEndpointSlice,
  endpointSliceKey,
  syncedKey,
} from '../../../../clustermesh/index.ts';
import { parsePrefix } from '../../../../values/ip/index.ts';
import { Side, config, until, westConfig } from './support.ts';

const advertising = { ...westConfig, endpointSlicesExportMode: 'services-and-endpointslices' };

function slice(name: string, endpoints: readonly SliceEndpoint[], service = 'web'): EndpointSliceRecord {
  return {
    cluster: 'west',
    clusterId: 2,
    namespace: 'shop',
    name,
    labels: { 'kubernetes.io/service-name': service },
    annotations: {},
    addressType: 'IPv4',
    endpoints,
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
  };
}

describe('a remote cluster whose services are read by EndpointSlices', () => {
  const stops: (() => Promise<void>)[] = [];
  afterEach(async () => {
    for (const stop of stops.splice(0)) await stop();
  });

  const setUp = async (serviceMode: ServiceMode, exported?: string) => {
    const side = new Side();
    const writer = side.writer();
    await writer.everything();
    const { endpointSlicesExportMode: _, ...plain } = advertising;
    await writer.config(exported === undefined ? plain : { ...plain, endpointSlicesExportMode: exported });
    await writer.store.put(syncedKey('west', 'endpointslices'), 'now');
    side.services.local().upsertService({
      namespace: 'shop',
      name: 'web',
      uid: 'u',
      type: 'ClusterIP',
      clusterIps: ['10.96.0.1'],
      headless: false,
      ports: [{ name: 'http', port: 80, protocol: 'TCP' }],
      externalIps: [],
      loadBalancerIps: [],
      loadBalancerSourceRanges: [],
      sessionAffinity: 'None',
      annotations: { 'service.cilium.io/global': 'true' },
      hasSelector: true,
    });
    const put = async (record: EndpointSliceRecord): Promise<void> => {
      const key = endpointSliceKey('west', record.namespace, record.name);
      await writer.store.put(key, encodeEndpointSlice(record));
    };
    const remote = side.remote('west', { serviceMode });
    const follow = (): void => {
      const controller = new AbortController();
      const running = remote.run(config(), controller.signal).catch(() => undefined);
      stops.push(async () => {
        controller.abort();
        await running;
      });
    };
    const backends = (): string[] =>
      side.services.get('shop/web')?.ports[0]?.backends.map(({ address, state }) => `${address} ${state}`) ?? [];
    return { side, writer, put, remote, follow, backends };
  };
  const stopAll = async (): Promise<void> => {
    for (const stop of stops.splice(0)) await stop();
  };

  test('honours the conditions of endpoints, and drains what terminates', async () => {
    const { put, remote, follow, backends, writer } = await setUp('prefer-endpointslice', 'endpointslices-only');
    await put(
      slice('web-1', [
        { addresses: ['10.2.1.5'] },
        { addresses: ['10.2.1.6'], conditions: { ready: true, serving: true, terminating: false } },
        { addresses: ['10.2.1.7'], conditions: { ready: false, serving: true, terminating: true } },
        { addresses: ['10.2.1.8'], conditions: { ready: false, serving: false, terminating: true } },
        { addresses: ['10.2.1.9'], conditions: { ready: false } },
      ]),
    );
    await put(slice('web-2', [{ addresses: ['10.2.2.5'], zone: 'a' }]));
    follow();
    await until(() => remote.status().ready, 'ready');
    expect(backends()).toEqual(['10.2.1.5 active', '10.2.1.6 active', '10.2.1.7 terminating', '10.2.2.5 active']);
    expect(remote.status()).toMatchObject({
      'num-shared-services': 0,
      'num-endpoint-slices': 2,
      synced: { services: true, 'endpoint-slices': true },
      config: { 'endpoint-slices-export-mode': 'endpointslices-only' },
    });
    // The other slice goes, one moves to another Service, one goes with its key.
    await put(slice('web-2', [{ addresses: ['10.2.2.5'] }], 'other'));
    await until(() => backends().length === 3, 'moved away');
    await writer.store.delete(endpointSliceKey('west', 'shop', 'web-1'));
    await until(() => backends().length === 0, 'gone');
  });

  test('reads ClusterServices unless told, and slices where a cluster exports nothing else', async () => {
    const legacy = await setUp('prefer-legacy', 'services-and-endpointslices');
    await legacy.put(slice('web-1', [{ addresses: ['10.2.1.6'] }]));
    legacy.follow();
    await until(() => legacy.remote.status().ready, 'ready');
    expect(legacy.backends()).toEqual(['10.2.1.5 active']);
    expect(legacy.remote.status()).not.toHaveProperty('num-endpoint-slices');
    expect(legacy.remote.status().synced).toEqual({ nodes: true, endpoints: true, identities: true, services: true });

    const only = await setUp('prefer-legacy', 'endpointslices-only');
    await only.put(slice('web-1', [{ addresses: ['10.2.1.6'] }]));
    only.follow();
    await until(() => only.remote.status().ready, 'ready');
    expect(only.backends()).toEqual(['10.2.1.6 active']);
  });

  test('has no backends of a cluster that exports none, and counts as read', async () => {
    const { side, writer, put, remote, follow, backends } = await setUp('only-endpointslice', 'endpointslices-only');
    await put(slice('web-1', [{ addresses: ['10.2.1.6'] }]));
    follow();
    await until(() => remote.status().ready, 'ready');
    expect(backends()).toEqual(['10.2.1.6 active']);
    // It is replaced by a release that only knows ClusterServices.
    side.cut();
    await writer.config();
    await writer.store.delete(endpointSliceKey('west', 'shop', 'web-1'));
    side.heal();
    await side.clock.advance(31_000);
    await until(() => remote.status().ready, 'ready again');
    expect(backends()).toEqual([]);
    expect(remote.status()).toMatchObject({
      'num-endpoint-slices': 0,
      synced: { services: true, 'endpoint-slices': true },
    });
    expect([...side.services.slicesOf('west')]).toEqual([]);
  });

  test('is held to what its cluster may claim', async () => {
    const { side, put, remote, follow, backends } = await setUp('only-endpointslice', 'endpointslices-only');
    side.ownSpace.set('node/e1', { blocks: [parsePrefix('10.1.1.0/24')], hosts: [] });
    await put(slice('thief', [{ addresses: ['10.1.1.5'] }]));
    await put({ ...slice('other', [{ addresses: ['10.2.1.6'] }]), cluster: 'north' });
    await put(slice('web-1', [{ addresses: ['10.2.1.6'] }]));
    follow();
    await until(() => remote.status().ready, 'ready');
    expect(backends()).toEqual(['10.2.1.6 active']);
    expect(
      remote
        .status()
        .refused.keys.map(({ key, code }) => `${key} ${code}`)
        .toSorted(),
    ).toEqual(['shop/other foreign-cluster', 'shop/thief own-address']);
    side.ownSpace.set('node/e2', { blocks: [parsePrefix('10.2.1.0/24')], hosts: [] });
    await until(() => backends().length === 0, 'withdrawn');
    side.ownSpace.remove('node/e2');
    await until(() => backends().length === 1, 'let in again');
  });

  test('is remembered and served while it cannot be reached', async () => {
    const { put, remote, follow, side } = await setUp('only-endpointslice', 'endpointslices-only');
    await put(slice('web-1', [{ addresses: ['10.2.1.6'] }]));
    follow();
    await until(() => remote.status().ready, 'ready');
    const { config: known, kinds } = remote.content();
    const records = kinds.flatMap(({ kind, records: all }) => [...all].map((record) => ({ kind, ...record })));
    await stopAll();
    const next = new Side();
    next.unreachable = true;
    const recalled = next.remote('west', { serviceMode: 'only-endpointslice' });
    recalled.recall({ state: 'found', cluster: { config: known, records, leftOut: [], asOfMs: next.clock.now() } });
    expect([...next.services.slicesOf('west')]).toEqual([...side.services.slicesOf('west')]);
    expect(next.known()).toEqual(side.known());
  });
});
