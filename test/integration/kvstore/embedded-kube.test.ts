import { expect, jest, test } from '@jest/globals';
import { methods } from '../../../kvstore/etcd/wire/index.ts';
import { type KubeProcess, startKube } from '../../support/kube.ts';
import { crd } from '../../support/kube-crds.ts';
import { needs } from '../../support/probe.ts';
import { RawEtcd } from '../../support/raw-etcd.ts';
import { startStoreServe } from '../../support/store-serve.ts';
import { until } from '../../support/until.ts';

jest.setTimeout(300_000);

interface Listed {
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    readonly remainingItemCount?: number;
  };
  readonly items: readonly { readonly metadata: { readonly name: string; readonly resourceVersion: string } }[];
}

const maps = '/api/v1/namespaces/shop/configmaps';
const of = (text: string): Uint8Array => Buffer.from(text);
const mapOf = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name, namespace: 'shop' },
  data,
});

async function made(kube: KubeProcess, name: string): Promise<string> {
  const { status, json } = await kube.call('POST', maps, mapOf(name));
  expect({ name, status }).toEqual({ name, status: 201 });
  return (json as { metadata: { resourceVersion: string } }).metadata.resourceVersion;
}

/** What a watch told, until it was over. */
async function watched(
  kube: KubeProcess,
  query: string,
): Promise<readonly { type: string; object: Record<string, unknown> }[]> {
  const { status, text } = await kube.call('GET', `${maps}?watch=true&timeoutSeconds=2&${query}`);
  expect(status).toBe(200);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { type: string; object: Record<string, unknown> });
}

needs('kube')('a kube-apiserver that keeps its data in the embedded store', () => {
  test('works, pages, watches, compacts, and goes on when the store was killed', async () => {
    await using kube = await startKube({
      etcd: await startStoreServe(['--auto-compaction-mode', 'off']),
      flags: ['--etcd-compaction-interval=3s', '--event-ttl=1h'],
    });
    await using raw = new RawEtcd(kube.etcd.port);
    await kube.apply(`
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {ports: [{port: 80}], selector: {app: web}}
---
${crd('example.org', 'Thing', ['v1'], 'Namespaced')}
apiVersion: example.org/v1
kind: Thing
metadata: {name: one, namespace: shop}
spec: {size: 3}
`);
    const service = await kube.call('GET', '/api/v1/namespaces/shop/services/web');
    expect(service.json).toMatchObject({ spec: { clusterIP: expect.stringMatching(/^10\.96\./) } });

    // Writes by version: who has not seen the last one is refused.
    const first = await made(kube, 'a');
    const change = (resourceVersion: string) => ({
      ...mapOf('a', { changed: 'yes' }),
      metadata: { name: 'a', namespace: 'shop', resourceVersion },
    });
    expect((await kube.call('PUT', `${maps}/a`, change(first))).status).toBe(200);
    expect((await kube.call('PUT', `${maps}/a`, change(first))).status).toBe(409);
    expect((await kube.call('POST', maps, mapOf('a'))).status).toBe(409);

    // Pages are of one moment, whatever is written in between.
    for (let i = 0; i < 25; i++) await made(kube, `m${String(i).padStart(2, '0')}`);
    const names: string[] = [];
    let token = '';
    for (;;) {
      const page = (await kube.call('GET', `${maps}?limit=7&continue=${encodeURIComponent(token)}`)).json as Listed;
      names.push(...page.items.map(({ metadata }) => metadata.name));
      token = page.metadata.continue ?? '';
      if (token === '') break;
      if (names.length === 7) {
        await kube.call('DELETE', `${maps}/m20`);
        await made(kube, 'm99');
      }
    }
    expect(names.filter((name) => name.startsWith('m'))).toHaveLength(25);

    // A watch of what is there and of what comes; one from a version goes on from it.
    const streamed = await watched(
      kube,
      'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true',
    );
    expect(streamed.filter(({ type }) => type === 'ADDED').length).toBeGreaterThanOrEqual(26);
    expect(streamed.map(({ type }) => type)).toContain('BOOKMARK');
    const told = await watched(kube, `resourceVersion=${first}`);
    expect(told[0]).toMatchObject({ type: 'MODIFIED', object: { metadata: { name: 'a' } } });
    expect(told.filter(({ type }) => type === 'DELETED')).toMatchObject([{ object: { metadata: { name: 'm20' } } }]);

    // Events go with a lease.
    const event = {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: 'seen', namespace: 'shop' },
      involvedObject: { namespace: 'shop' },
      reason: 'Test',
    };
    expect((await kube.call('POST', '/api/v1/namespaces/shop/events', event)).status).toBe(201);
    const stored = await raw.call(methods.range, { key: of('/registry/events/shop/seen') });
    const lease = stored.response?.kvs[0]?.lease ?? 0n;
    expect(lease).not.toBe(0n);
    expect((await raw.call(methods.leaseTimeToLive, { id: lease, keys: true })).response?.keys).toHaveLength(1);

    // It compacts by itself, and then says that what is older is gone.
    const compacted = async (): Promise<boolean> => {
      const old = await raw.call(methods.range, { key: of('compact_rev_key'), revision: Number(first) });
      return old.code === 11;
    };
    await until(compacted);
    // Its cache keeps old versions until it has heard of the compaction.
    const atFirst = (): ReturnType<typeof kube.call> =>
      kube.call('GET', `${maps}?resourceVersion=${first}&resourceVersionMatch=Exact&limit=5`);
    await until(async () => (await atFirst()).status !== 200);
    const gone = await atFirst();
    expect({ status: gone.status, json: gone.json }).toMatchObject({ status: 410, json: { reason: 'Expired' } });

    // The store dies and comes back: nothing is lost, and the API server goes on by itself.
    const last = await made(kube, 'before');
    await kube.etcd.kill();
    await kube.etcd.restart();
    await until(
      async () => (await kube.call('POST', maps, mapOf('after')).catch(() => ({ status: 0 }))).status === 201,
    );
    const listed = (await kube.call('GET', maps)).json as Listed;
    expect(listed.items.map(({ metadata }) => metadata.name)).toEqual(
      expect.arrayContaining(['a', 'before', 'after', 'm99']),
    );
    await until(async () =>
      (await watched(kube, `resourceVersion=${last}`)).some(
        ({ type, object }) => type === 'ADDED' && JSON.stringify(object).includes('"name":"after"'),
      ),
    );
    const namespace = await kube.call('DELETE', '/api/v1/namespaces/shop');
    expect(namespace.status).toBe(200);
  });
});
