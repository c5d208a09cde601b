import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Apiserver } from '../../../../clustermesh/index.ts';
import { followedKinds, kubernetesSource } from '../../../../kubernetes/index.ts';
import { EngineStore, MemoryEngine, type Store, toText } from '../../../../kvstore/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { silentLogger as log } from '../../../../runtime/log/index.ts';
import { FakeApiServer } from '../../../support/fake-api-server.ts';
import { Link } from '../kvstoremesh/support.ts';

const kinds = followedKinds({ mode: 'kubernetes', serviceExports: false });
const paths = {
  Node: '/api/v1/nodes',
  Pod: '/api/v1/pods',
  Namespace: '/api/v1/namespaces',
  Service: '/api/v1/services',
  EndpointSlice: '/apis/discovery.k8s.io/v1/endpointslices',
  NetworkPolicy: '/apis/networking.k8s.io/v1/networkpolicies',
};
/** What differs in each life, whatever the cluster is. */
const timed = /^cilium\/(\.heartbeat|synced\/)|^isthmus\/v1\/(synced|question)\//;

let clock: VirtualClock;
let api: FakeApiServer;
let engine: MemoryEngine;
let link: Link;
let stack: AsyncDisposableStack;
beforeEach(() => {
  clock = new VirtualClock();
  api = new FakeApiServer(...Object.values(paths));
  engine = new MemoryEngine({ clock });
  link = new Link(engine, clock);
  stack = new AsyncDisposableStack();
});
afterEach(() => stack.disposeAsync());

function put(kind: keyof typeof paths, name: string, rest: object = {}, namespace: string | undefined = 'shop'): void {
  const { metadata, ...more } = rest as { readonly metadata?: object };
  const scoped = kind === 'Node' || kind === 'Namespace' ? {} : { namespace };
  const apiVersion = /\/apis\/(.*)\/[a-z]+$/.exec(paths[kind])?.[1] ?? 'v1';
  api.set(paths[kind], { apiVersion, kind, metadata: { name, ...scoped, ...metadata }, ...more });
}
const pod = (name: string, ip: string, app = 'web'): void =>
  put('Pod', name, {
    metadata: { labels: { app } },
    spec: { nodeName: 'n1', serviceAccountName: 'sa', containers: [] },
    status: { phase: 'Running', podIPs: [{ ip }], conditions: [{ type: 'Ready', status: 'True' }] },
  });
const service = (name: string, ...ips: readonly string[]): void => {
  put('Service', name, {
    metadata: { annotations: { 'service.cilium.io/global': 'true' } },
    spec: { clusterIP: '10.96.0.7', selector: { app: name }, ports: [{ name: 'http', port: 80 }] },
  });
  put('EndpointSlice', `${name}-1`, {
    metadata: { labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    endpoints: ips.map((ip) => ({ addresses: [ip], conditions: { ready: true }, nodeName: 'n1' })),
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
  });
};
const fill = (): void => {
  put('Namespace', 'shop');
  put('Node', 'n1', {
    spec: { podCIDRs: ['10.1.0.0/24'] },
    status: { conditions: [{ type: 'Ready', status: 'True' }] },
  });
  pod('web-1', '10.1.0.5');
  pod('web-2', '10.1.0.6');
  pod('db-1', '10.1.0.7', 'db');
  service('web', '10.1.0.5', '10.1.0.6');
  service('db', '10.1.0.7');
  put('NetworkPolicy', 'deny', { spec: { podSelector: {}, policyTypes: ['Ingress'] } });
};
/** Whatever may happen in ten minutes. */
const change = (): void => {
  api.delete(paths.Pod, 'shop', 'web-2');
  pod('web-3', '10.1.0.8', 'new');
  service('web', '10.1.0.5', '10.1.0.8');
  api.delete(paths.Service, 'shop', 'db');
  api.delete(paths.EndpointSlice, 'shop', 'db-1');
  put('Namespace', 'shop', { metadata: { labels: { team: 'red' } } });
};

function run(store: Store): Apiserver {
  const source = kubernetesSource({ api, kinds, clock, random: () => 0 });
  const apiserver = new Apiserver({
    clusterName: 'east',
    clusterId: 1,
    identityOpeningMs: 0,
    silentNodeMs: 1_000,
    store,
    clock,
    source,
    log,
  });
  const stop = new AbortController();
  const running = apiserver.run(stop.signal).catch(() => undefined);
  stack.defer(async () => {
    stop.abort(new DOMException('stopped', 'AbortError'));
    await clock.advance(0);
    await running;
    await apiserver[Symbol.asyncDispose]();
  });
  return apiserver;
}

async function pass(ms: number): Promise<void> {
  for (let i = 0; i < 60; i++) {
    await clock.advance(ms / 60);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function records(store: Store): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for await (const { entries } of store.list(''))
    for (const { key, value } of entries) if (!timed.test(toText(key))) found[toText(key)] = toText(value);
  return found;
}

/** What an apiserver writes that begins now, into an empty store. */
async function fresh(): Promise<Record<string, string>> {
  const store = new EngineStore(new MemoryEngine({ clock }), { clock, endpoint: 'memory' });
  const apiserver = run(store);
  await pass(10_000);
  expect(apiserver.ready).toBe(true);
  return await records(store);
}

describe('An apiserver', () => {
  const begin = async () => {
    fill();
    const look = new EngineStore(engine, { clock, endpoint: 'memory' });
    const apiserver = run(link.store);
    await pass(10_000);
    expect(apiserver.ready).toBe(true);
    const deleted: string[] = [];
    const stop = new AbortController();
    const following = (async () => {
      for await (const batch of look.listAndWatch('', { signal: stop.signal }))
        if (batch.type === 'changes')
          for (const event of batch.events) if (event.type === 'delete') deleted.push(toText(event.key));
    })();
    stack.defer(async () => {
      stop.abort();
      await following;
    });
    await pass(1_000);
    return { apiserver, look, deleted, before: await records(look) };
  };
  const gone = ['cilium/state/services/v1/east/shop/db', 'isthmus/v1/workloads/n1/shop/web-2'];
  const expectHealed = async (look: Store, deleted: readonly string[]): Promise<void> => {
    await pass(60_000);
    const healed = await records(look);
    // Numbers that nobody uses any more are kept for a while.
    const used = Object.fromEntries(Object.entries(healed).filter(([key]) => !key.includes('/identities/')));
    const expected = await fresh();
    const other = Object.fromEntries(Object.entries(expected).filter(([key]) => !key.includes('/identities/')));
    expect(used).toEqual(other);
    for (const [key, text] of Object.entries(expected))
      if (key.includes('/identities/')) expect(healed[key]).toBe(text);
    for (const key of gone) expect(deleted).toContain(key);
    // Nothing went that is still there, not even for a moment.
    expect(deleted.filter((key) => key in expected)).toEqual([]);
  };

  test.each(['remembers', 'has forgotten'])(
    'whose API server is gone for ten minutes and %s where it was removes nothing, and publishes the difference after that',
    async (memory) => {
      const { apiserver, look, deleted, before } = await begin();
      api.answering = () => {
        throw new Error('connect ECONNREFUSED');
      };
      api.endWatches('cut');
      change();
      if (memory === 'has forgotten') api.forget();
      await pass(600_000);
      expect(await records(look)).toEqual(before);
      expect(deleted).toEqual([]);
      expect(
        apiserver
          .status()
          .errors.map(({ reason }) => reason)
          .join('\n'),
      ).toContain('ECONNREFUSED');
      expect(toText((await look.get('cilium/.heartbeat'))?.value ?? new Uint8Array())).toBe(
        new Date(clock.now() - (clock.now() % 60_000)).toISOString().replace('.000', ''),
      );
      api.answering = () => undefined;
      await expectHealed(look, deleted);
      expect(apiserver.status().errors).toEqual([]);
    },
  );

  test('whose store is gone for ten minutes removes nothing, and publishes the difference after that', async () => {
    const { apiserver, look, deleted, before } = await begin();
    link.failing = true;
    change();
    await pass(600_000);
    expect(await records(look)).toEqual(before);
    expect(deleted).toEqual([]);
    expect(apiserver.status()).toMatchObject({ store: { connected: false } });
    expect(apiserver.status().queued).toBeGreaterThan(0);
    link.failing = false;
    await expectHealed(look, deleted);
    expect(apiserver.status()).toMatchObject({ queued: 0, store: { connected: true } });
  });
});
