import { describe, expect, test } from '@jest/globals';
import {
  clusterConfigKey,
  decodeClusterConfig,
  decodeIdentity,
  decodeLocalEndpoints,
  decodeLocalService,
  decodeNodeAssignment,
  decodeService,
  decodeWorkload,
  heartbeatKey,
  identityQuestionKey,
  ownSetKey,
} from '../../../../clustermesh/index.ts';
import { type KubernetesObject, kubernetesKinds } from '../../../../kubernetes/index.ts';
import { toText } from '../../../../kvstore/index.ts';
import { createMetrics } from '../../../../runtime/metrics/index.ts';
import { Harness, namespace, node, pod, service, shop, slice, yaml } from './harness.ts';

const services = 'cilium/state/services/v1/east/';
const slices = 'cilium/state/endpointslices/v1/east/';
const identities = 'cilium/state/identities/v1/id/';
const workloads = 'isthmus/v1/workloads/';

describe('An apiserver', () => {
  test('publishes workloads with identities that depend on what they are, not on which replica', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start();
    const records = Object.entries(await it.stored(workloads)).map(([key, value]) => decodeWorkload(key, value));
    expect(records.map(({ node, namespace, name }) => `${node}/${namespace}/${name}`)).toEqual([
      'n1/shop/db-1',
      'n1/shop/web-1',
      'n1/shop/web-2',
    ]);
    const [db, web1, web2] = records;
    expect(web1).toMatchObject({
      labels: { app: 'web' },
      serviceAccount: 'sa',
      ips: ['10.1.0.5'],
      namedPorts: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    });
    expect(web1?.identity).toBe(web2?.identity);
    expect(db?.identity).not.toBe(web1?.identity);
    const texts = await it.stored(identities);
    expect(Object.keys(texts)).toHaveLength(2);
    const id = String(web1?.identity);
    expect(texts[id]).toBe(
      'k8s:app=web;k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=shop;' +
        'k8s:io.cilium.k8s.namespace.labels.team=red;k8s:io.cilium.k8s.policy.cluster=east;' +
        'k8s:io.cilium.k8s.policy.serviceaccount=sa;k8s:io.kubernetes.pod.namespace=shop;',
    );
    // What a peer's reader demands of it.
    decodeIdentity(id, texts[id] ?? '', { cluster: 'east', clusterId: 1 });
  });

  test('publishes shared global services for others, and every service with its endpoints for its own agents', async () => {
    await using it = new Harness();
    it.add(
      ...shop(),
      ...service('local', '{}'),
      ...service('unshared', '{service.cilium.io/global: "true", service.cilium.io/shared: "false"}'),
      ...service('renamed', '{service.cilium.io/global: "true"}', ', type: ExternalName, externalName: x.example'),
    );
    it.source.markSynced();
    await it.start();
    expect(await it.keys(services)).toEqual(['shop/web']);
    const record = decodeService('shop/web', (await it.stored(services))['shop/web'] ?? '', {
      cluster: 'east',
      clusterId: 1,
    });
    expect(record).toMatchObject({
      frontends: { '10.96.0.7': { http: { protocol: 'TCP', port: 80 } } },
      backends: { '10.1.0.5': { http: { protocol: 'TCP', port: 8080 } } },
      zones: { '10.1.0.5': { zone: 'z1', forZones: [] } },
      shared: true,
    });
    const own = await it.stored('isthmus/v1/services/');
    expect(Object.keys(own)).toEqual(['shop/local', 'shop/unshared', 'shop/web']);
    expect(decodeLocalService('shop/web', own['shop/web'] ?? '')).toMatchObject({
      clusterIps: ['10.96.0.7'],
      annotations: { 'service.cilium.io/global': 'true' },
      hasSelector: true,
    });
    const endpoints = await it.stored('isthmus/v1/endpoints/');
    expect(decodeLocalEndpoints('shop/web/web-abc', endpoints['shop/web/web-abc'] ?? '')).toMatchObject({
      endpoints: [{ addresses: ['10.1.0.5'], ready: true, serving: true, terminating: false, nodeName: 'n1' }],
    });
    const nodes = await it.stored('isthmus/v1/nodes/');
    expect(decodeNodeAssignment('n1', nodes['n1'] ?? '')).toMatchObject({ zone: 'z1', podCidrs: [{ length: 24 }] });
    expect(await it.keys('isthmus/v1/namespaces/')).toEqual(['shop']);
  });

  test('advertises what it exports and nothing else, and beats at once and every minute', async () => {
    await using it = new Harness();
    await it.start();
    const config = (await it.stored('cilium/cluster-config/'))['east'];
    expect(config).toBe(
      '{"id":1,"capabilities":{"syncedCanaries":true,"maxConnectedClusters":255,"serviceExportsEnabled":false,"endpointSlicesExportMode":"services-and-endpointslices"}}',
    );
    expect(decodeClusterConfig('east', config ?? '')).toMatchObject({ id: 1, cached: false });
    expect((await it.stored(heartbeatKey))['']).toMatch(/^2026-01-01T00:00:00Z$/);
    await it.clock.advance(60_000);
    await it.settle();
    expect((await it.stored(heartbeatKey))['']).toMatch(/^2026-01-01T00:01:00Z$/);
  });

  test('has its cluster config back within a second when somebody deletes or changes it, or its lease is lost', async () => {
    await using it = new Harness();
    await it.start();
    const key = clusterConfigKey('east');
    const good = toText((await it.store.get(key))?.value ?? new Uint8Array());
    const check = async (): Promise<void> => {
      await it.clock.advance(999);
      expect(toText((await it.store.get(key))?.value ?? new Uint8Array())).toBe(good);
    };
    await it.store.delete(key);
    await check();
    await it.store.put(key, '{"id":9}');
    await check();
    const entry = await it.store.get(key);
    await it.engine.leaseRevoke(entry?.lease ?? 0n);
    await check();
  });

  test('has everything back within a second when all its leases are lost, canaries and heartbeat too', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.store.put(ownSetKey('n1'), 'now');
    await it.start();
    const before = await it.stored('');
    const leases = await it.engine.leases();
    expect(leases.length).toBeGreaterThan(5);
    for (const id of leases) await it.engine.leaseRevoke(id);
    expect(Object.keys(await it.stored('')).length).toBeLessThan(5);
    await it.clock.advance(999);
    expect(await it.stored('')).toEqual(before);
    for (const id of await it.engine.leases()) expect(leases).not.toContain(id);
  });

  test('moves, rewrites and removes records with their objects', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start();
    const before = await it.stored(workloads);
    it.add(...pod('web-1', { app: 'api' }), ...pod('web-2', { ip: '10.1.0.6', on: 'n2' }));
    it.source.delete('Pod', 'shop', 'db-1');
    it.add(...slice('web-abc', 'web', '[]'));
    await it.settle();
    const after = await it.stored(workloads);
    expect(Object.keys(after)).toEqual(['n1/shop/web-1', 'n2/shop/web-2']);
    const identity = (text?: string): number => decodeWorkload('n/ns/p', text ?? '').identity;
    expect(identity(after['n1/shop/web-1'])).not.toBe(identity(before['n1/shop/web-1']));
    expect(identity(after['n2/shop/web-2'])).toBe(identity(before['n1/shop/web-2']));
    expect((await it.stored(services))['shop/web']).toContain('"backends":{}');
    it.add(...service('web', '{service.cilium.io/global: "true", service.cilium.io/shared: "false"}'));
    await it.settle();
    expect(await it.keys(services)).toEqual([]);
  });

  test('gives no endpoint to pods of the host network, pods that are over, and pods without a node', async () => {
    await using it = new Harness();
    it.add(
      ...pod('host', { extra: ', hostNetwork: true' }),
      ...yaml('{apiVersion: v1, kind: Pod, metadata: {name: pending, namespace: shop}, spec: {}}'),
      ...yaml(
        '{apiVersion: v1, kind: Pod, metadata: {name: over, namespace: shop}, spec: {nodeName: n1}, status: {phase: Succeeded}}',
      ),
    );
    it.source.markSynced();
    await it.start();
    expect(await it.keys(workloads)).toEqual([]);
    expect(it.apiserver.status().counts).toMatchObject({ endpoints: 0, identities: 0 });
  });

  test('rewrites every workload of a namespace whose labels change', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start();
    const before = await it.stored(workloads);
    it.add(...namespace('shop', ', labels: {team: blue}'));
    await it.settle();
    const after = await it.stored(workloads);
    for (const key of Object.keys(before)) expect(after[key]).not.toBe(before[key]);
  });

  test('hides the identities of a namespace that is not global, and shows them again under the same numbers', async () => {
    const shown = 'cilium/state/identities/v1/id/';
    const hidden = 'isthmus/v1/identities/';
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start();
    const before = await it.stored(shown);
    expect(Object.keys(before).length).toBeGreaterThan(0);
    expect(await it.keys(hidden)).toEqual([]);
    const workloads = await it.stored('isthmus/v1/workloads/');

    it.add(...namespace('shop', ', labels: {team: red}, annotations: {clustermesh.cilium.io/global: "false"}'));
    await it.settle();
    expect(await it.stored(hidden)).toEqual(before);
    expect(await it.keys(shown)).toEqual([]);
    for (const value of Object.values(await it.stored('isthmus/v1/workloads/')))
      expect(value).toMatch(/,"hidden":true\}$/);
    // Also for whom they are given out later, and in a later life.
    it.add(...pod('new', { app: 'new', ip: '10.1.0.99' }));
    await it.settle();
    expect(await it.keys(hidden)).toHaveLength(Object.keys(before).length + 1);
    it.source.delete('Pod', 'shop', 'new');
    await it.stop();
    await it.start();
    await it.clock.advance(3_600_000);
    expect(await it.stored(hidden)).toEqual(before);
    expect(await it.keys(shown)).toEqual([]);

    it.add(...namespace('shop', ', labels: {team: red}'));
    await it.settle();
    expect(await it.stored(shown)).toEqual(before);
    expect(await it.keys(hidden)).toEqual([]);
    expect(await it.stored('isthmus/v1/workloads/')).toEqual(workloads);
  });

  test('keeps the services of a namespace to itself that is not global', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start();
    it.add(...namespace('shop', ', annotations: {clustermesh.cilium.io/global: "false"}'));
    await it.settle();
    expect(await it.keys(services)).toEqual([]);
    expect(await it.keys(slices)).toEqual([]);
    it.add(...namespace('shop', ', annotations: {clustermesh.cilium.io/global: "True"}'));
    await it.settle();
    expect(await it.keys(services)).toEqual(['shop/web']);
    expect(await it.keys(slices)).toEqual(['shop/web-abc']);
  });

  test('exports only what says so where that is the default', async () => {
    await using it = new Harness();
    it.add(...shop());
    it.source.markSynced();
    await it.start({ defaultGlobalNamespace: false });
    expect([...(await it.keys(services)), ...(await it.keys(slices)), ...(await it.keys(identities))]).toEqual([]);
    expect(await it.keys(workloads)).toHaveLength(3);
    it.add(...namespace('shop', ', annotations: {clustermesh.cilium.io/global: "true"}'));
    await it.settle();
    expect(await it.keys(services)).toEqual(['shop/web']);
    expect(await it.keys(slices)).toEqual(['shop/web-abc']);
    expect(await it.keys(identities)).toHaveLength(2);
  });

  test('hands policies on to the agents as they were written', async () => {
    await using it = new Harness();
    it.add(
      ...yaml(`
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: deny, namespace: shop, uid: u1, generation: 3}
spec: {policyTypes: [Ingress], podSelector: {matchLabels: {b: "2", a: "1"}}, ingress: []}
`),
    );
    it.source.markSynced();
    await it.start();
    expect(await it.stored('isthmus/v1/policies/')).toEqual({
      'NetworkPolicy/shop/deny':
        '{"spec":{"ingress":[],"podSelector":{"matchLabels":{"a":"1","b":"2"}},"policyTypes":["Ingress"]},"uid":"u1","generation":3}',
    });
    it.source.delete('NetworkPolicy', 'shop', 'deny');
    await it.settle();
    expect(await it.keys('isthmus/v1/policies/')).toEqual([]);
  });

  test('gives pods an identity by the labels that count', async () => {
    await using it = new Harness();
    it.add(...namespace('shop'), ...pod('a', { app: 'web' }), ...pod('b', { app: 'db' }));
    it.source.markSynced();
    await it.start({ identityLabels: ['k8s:!app'] });
    const found = Object.values(await it.stored(identities));
    expect(found).toEqual([expect.not.stringContaining('k8s:app=')]);
    expect(found[0]).toContain('k8s:io.cilium.k8s.policy.cluster=east;');
  });

  test('ends with the same content in whatever order it learns its objects', async () => {
    const contents: Record<string, string>[] = [];
    for (let seed = 1; seed <= 6; seed++) {
      await using it = new Harness();
      const random = mulberry(seed);
      const extra = [
        ...pod('db-1', { app: 'old', ip: '10.1.0.9' }),
        ...service('web', '{}'),
        ...slice('web-abc', 'db'),
      ];
      const objects = [...shop()].map((object) => ({ object, order: random() }));
      if (seed % 2) await it.start();
      for (const object of extra) if (random() < 0.5) it.add(object);
      for (const { object } of objects.toSorted((a, b) => a.order - b.order)) {
        it.add(object);
        if (random() < 0.3) await it.settle();
      }
      it.source.markSynced();
      if (seed % 2) await it.settle();
      else await it.start();
      const { [heartbeatKey]: _, [identityQuestionKey]: __, ...rest } = await it.stored('');
      // Old identities rest for a while; canaries carry the time.
      const inUse = new Set(Object.values(rest).map((value) => /"identity":(\d+)/.exec(value)?.[1]));
      contents.push(
        Object.fromEntries(
          Object.entries(rest)
            .filter(([key]) => !key.startsWith(identities) || inUse.has(key.slice(identities.length)))
            .map(([key, value]) => [key, key.includes('/synced/') ? '' : value]),
        ),
      );
    }
    for (const content of contents) expect(content).toEqual(contents[0]);
    expect(Object.keys(contents[0] ?? {}).length).toBeGreaterThan(15);
  });
});

describe('A namespace that is told after what is in it', () => {
  const inSecret = (kind: 'pod' | 'service' | 'slice'): readonly KubernetesObject[] =>
    kind === 'pod'
      ? pod('a', { ns: 'secret' })
      : yaml(
          kind === 'service'
            ? '{apiVersion: v1, kind: Service, metadata: {name: web, namespace: secret, annotations: {service.cilium.io/global: "true"}}, spec: {clusterIP: 10.96.0.7, ports: [{port: 80}]}}'
            : '{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s, namespace: secret, labels: {kubernetes.io/service-name: web}}, addressType: IPv4, endpoints: [{addresses: [10.1.0.5]}]}',
        );
  const started = async (it: Harness): Promise<void> => {
    it.add(...node('n1'));
    it.source.markSynced();
    await it.start();
    it.add(...inSecret('pod'), ...inSecret('service'), ...inSecret('slice'));
    await it.settle();
  };

  test('lets nothing of it out before, where each namespace will be told', async () => {
    await using it = new Harness(undefined, { namesNamespaces: true });
    await started(it);
    expect(await it.stored('cilium/state/')).toEqual({});
    expect(await it.stored('isthmus/v1/workloads/')).toEqual({});
    expect(it.apiserver.status().errors).toEqual([
      { object: 'Pod/secret/a', reason: 'namespace secret is not known yet' },
    ]);
    it.add(...namespace('secret', ', labels: {team: x}, annotations: {clustermesh.cilium.io/global: "false"}'));
    await it.settle();
    expect(await it.stored('cilium/state/')).toEqual({});
    expect(Object.values(await it.stored('isthmus/v1/identities/'))).toEqual([expect.stringContaining('team=x')]);
    expect(await it.keys('isthmus/v1/workloads/')).toEqual(['n1/secret/a']);
    expect(it.apiserver.status().errors).toEqual([]);
    // Seen to go before its pod: the pod stays known until it goes, too.
    it.source.delete('Namespace', '', 'secret');
    await it.settle();
    expect(await it.keys('isthmus/v1/workloads/')).toEqual(['n1/secret/a']);
    it.source.delete('Pod', 'secret', 'a');
    await it.settle();
    expect(await it.keys('isthmus/v1/workloads/')).toEqual([]);
    expect(it.apiserver.status().errors).toEqual([]);
  });

  test('holds no canary back', async () => {
    await using it = new Harness(undefined, { namesNamespaces: true });
    it.add(...node('n1'), ...inSecret('pod'), ...inSecret('service'));
    it.source.markSynced();
    await it.start();
    await it.store.put(ownSetKey('n1'), 'now');
    await it.settle();
    expect(it.apiserver.ready).toBe(true);
  });

  test('need not be told where nobody promises that: manifests may do without', async () => {
    await using it = new Harness();
    await started(it);
    expect(await it.keys('isthmus/v1/workloads/')).toEqual(['n1/secret/a']);
    expect(await it.keys('cilium/state/services/v1/east/')).toEqual(['secret/web']);
  });
});

describe('Bad input', () => {
  test('skips one object with a reason and goes on', async () => {
    await using it = new Harness();
    const [broken] = service('broken');
    if (broken?.kind !== 'Service') throw new Error('a service');
    it.add(...shop(), { ...broken, spec: { ...broken.spec, clusterIPs: ['10.96.0.300'] } });
    it.source.markSynced();
    await it.start();
    expect(await it.keys('isthmus/v1/services/')).toEqual(['shop/web']);
    expect(it.apiserver.status().errors).toEqual([
      { object: 'Service/shop/broken', reason: expect.stringContaining('10.96.0.300') },
      { object: 'shared/shop/broken', reason: expect.stringContaining('10.96.0.300') },
    ]);
    it.add(...service('broken'));
    await it.settle();
    expect(it.apiserver.status().errors).toEqual([]);
  });

  test.each(['constructor', 'toString', 'valueOf', 'hasOwnProperty'])(
    'is none where an annotation is called %s: objects are published as ever',
    async (name) => {
      await using it = new Harness();
      const annotation = `, annotations: {${name}: x}`;
      it.add(...namespace('shop', annotation), ...service('web', `{service.cilium.io/global: "true", ${name}: x}`));
      it.source.markSynced();
      await it.start();
      expect(it.apiserver.status().errors).toEqual([]);
      expect(await it.stored('isthmus/v1/namespaces/')).toEqual({ shop: '{}' });
      expect(await it.keys('isthmus/v1/services/')).toEqual(['shop/web']);
    },
  );

  test('that the source has left out is named in the status', async () => {
    await using it = new Harness();
    const problem = { object: 'a.yaml, document 3', reason: 'spec.ports[0].port must be a number' };
    const source = {
      description: 'test',
      kinds: kubernetesKinds,
      watch: (signal: AbortSignal) => it.source.watch(signal),
      problems: () => [problem],
    };
    await it.start({ source });
    expect(it.apiserver.status().errors).toEqual([problem]);
  });

  test.each([
    { clusterName: 'default', clusterId: 1, message: 'must not be "default"' },
    { clusterName: 'East', clusterId: 1, message: 'Cluster name must be' },
    { clusterName: 'east', clusterId: 0, message: 'from 1 to 255, found 0' },
    { clusterName: 'east', clusterId: 256, message: 'from 1 to 255, found 256' },
    {
      identityLabels: [String.raw`!io\.cilium\.k8s\.policy\.cluster`],
      message: 'must not leave out io.cilium.k8s.policy.cluster',
    },
    { identityLabels: ['k8s:('], message: 'must be a regular expression' },
  ])('refuses to start: $message', async ({ message, ...options }) => {
    await using it = new Harness();
    await expect(it.start(options)).rejects.toThrow(message);
  });
});

test('Metrics carry the names of Cilium with our prefix', async () => {
  await using it = new Harness();
  const metrics = createMetrics({ prefix: 'isthmus_' });
  it.add(...shop());
  it.source.markSynced();
  await it.store.put(ownSetKey('n1'), 'now');
  await it.start({ metrics });
  const text = await metrics.text();
  expect(text).toContain('isthmus_kvstore_sync_queue_size{scope="services/v1",source_cluster="east"} 0');
  expect(text).toContain(
    'isthmus_kvstore_initial_sync_completed{scope="ip/v1",source_cluster="east",action="write"} 1',
  );
  expect(text).toContain('isthmus_bootstrap_seconds ');
  expect(text).toContain('isthmus_apiserver_skipped_objects 0');
});

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
