import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  type KubernetesKind,
  type KubernetesSource,
  type KubernetesSourceOptions,
  kubernetesSource,
} from '../../../../kubernetes/index.ts';
import { VirtualClock } from '../../../../runtime/clock/index.ts';
import { FakeApiServer, type RawObject, refusal } from '../../../support/fake-api-server.ts';
import { until } from '../../../support/until.ts';

const pods = '/api/v1/pods';

function pod(name: string, labels: Record<string, string> = {}): RawObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'shop', labels }, spec: {} };
}

let api: FakeApiServer;
let clock: VirtualClock;
let source: KubernetesSource;
let stop: AbortController;
let heard: string[];
let done: Promise<void>;
let held: (() => void) | undefined;

beforeEach(() => {
  api = new FakeApiServer(pods);
  clock = new VirtualClock();
  stop = new AbortController();
  heard = [];
  held = undefined;
});
afterEach(async () => {
  stop.abort();
  held?.();
  await done;
});

function start(kinds: readonly KubernetesKind[] = ['Pod'], options: Partial<KubernetesSourceOptions> = {}): void {
  source = kubernetesSource({ api, kinds, clock, random: () => 0, ...options });
  done = (async () => {
    for await (const event of source.watch(stop.signal)) {
      if (event.type === 'synced') heard.push(`synced ${event.kind}`);
      else heard.push(event.type === 'upsert' ? `+${event.object.metadata.name}` : `-${event.name}`);
      if (held) await new Promise<void>((resolve) => (held = resolve));
    }
  })();
}

/** Lets virtual time pass until something holds. */
async function settle(holds: () => boolean = () => false): Promise<void> {
  await until(holds, () => clock.advance(100));
}

async function hear(what: string): Promise<string[]> {
  await settle(() => heard.includes(what));
  return heard.splice(0);
}

describe('A kind of an API server', () => {
  test('is listed page by page as of one moment, then synced, then followed', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) api.set(pods, pod(name));
    start(['Pod'], { pageSize: 2 });
    expect(await hear('synced Pod')).toEqual(['+a', '+b', '+c', '+d', '+e', 'synced Pod']);
    expect(api.requests.filter((path) => !path.includes('watch='))).toEqual([
      `${pods}?limit=2`,
      expect.stringContaining(`${pods}?limit=2&continue=`),
      expect.stringContaining(`${pods}?limit=2&continue=`),
    ]);
    await settle(() => api.watches === 1);
    expect(api.requests.at(-1)).toBe(`${pods}?watch=1&allowWatchBookmarks=true&resourceVersion=105&timeoutSeconds=60`);
    api.set(pods, pod('f'));
    api.delete(pods, 'shop', 'a');
    expect(await hear('-a')).toEqual(['+f', '-a']);
  });

  test('goes on where a watch ended, without telling anything twice', async () => {
    api.set(pods, pod('a'));
    start();
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    api.set(pods, pod('b'));
    await hear('+b');
    api.endWatches();
    api.set(pods, pod('c'));
    expect(await hear('+c')).toEqual(['+c']);
    await settle(() => api.watches === 1);
    api.endWatches('cut');
    api.set(pods, pod('d'));
    expect(await hear('+d')).toEqual(['+d']);
    expect(api.requests.filter((path) => !path.includes('watch='))).toHaveLength(1);
  });

  test('is asked for anew after two and a quarter minutes at most where its watch has died without a word', async () => {
    start(['Pod'], { random: () => 0.999_999 });
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    expect(api.requests.at(-1)).toContain('watch=1');
    expect(api.patience.at(-1)).toBeLessThanOrEqual(135_000);
  });

  test('is listed anew when the server has forgotten where we were: what is gone comes as deletes at the end of it', async () => {
    for (const name of ['a', 'b', 'c']) api.set(pods, pod(name));
    start(['Pod'], { pageSize: 1 });
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    api.endWatches('cut');
    api.delete(pods, 'shop', 'a');
    api.set(pods, pod('c', { changed: 'yes' }));
    api.set(pods, pod('d'));
    api.forget();
    await settle(() => heard.includes('-a'));
    // Not `b`, which is as it was.
    expect(heard).toEqual(['+c', '+d', '-a']);
    expect(source.problems?.()).toEqual([]);
  });

  test('that says so within a watch is listed anew, too', async () => {
    for (const name of ['a', 'b']) api.set(pods, pod(name));
    start();
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    api.answering = (path) => (path.includes('watch=') ? refusal(503, 'ServiceUnavailable', 'not yet') : undefined);
    api.say(`${JSON.stringify({ type: 'ERROR', object: refusal(410, 'Expired', 'too old').body })}\n`);
    await settle(() => api.watches === 0);
    api.delete(pods, 'shop', 'b');
    expect(await hear('-b')).toEqual(['-b']);
  });

  test('loses nothing when the listing itself takes too long', async () => {
    for (const name of ['a', 'b', 'c']) api.set(pods, pod(name));
    let pages = 0;
    api.answering = (path) => {
      if (path.includes('continue=') && ++pages === 1) api.forget();
      return undefined;
    };
    start(['Pod'], { pageSize: 1 });
    expect(await hear('synced Pod')).toEqual(['+a', '+b', '+c', 'synced Pod']);
  });

  test('does not fall behind while nothing happens', async () => {
    api.declare('/api/v1/nodes');
    start();
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    for (let i = 0; i < 50; i++)
      api.set('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: `n${i}` } });
    api.bookmark();
    // The bookmark has arrived when the next change has.
    api.set(pods, pod('a'));
    await hear('+a');
    api.forget();
    api.endWatches('cut');
    await settle(() => api.watches === 0);
    await settle(() => api.watches === 1);
    expect(api.requests.filter((path) => !path.includes('watch='))).toHaveLength(1);
  });

  test.each([
    ['no JSON', '{"type":"ADDED","obj\n'],
    ['an event of an unknown type', '{"type":"RENAMED","object":{}}\n'],
    ['an object without a name', '{"type":"ADDED","object":{"kind":"Pod","metadata":{"resourceVersion":"7"}}}\n'],
  ])('lists again after %s, since that may have said anything', async (_, text) => {
    api.set(pods, pod('a'));
    start();
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    api.say(text);
    await settle(() => api.requests.filter((path) => !path.includes('watch=')).length === 2);
    await settle(() => api.watches === 1);
    api.set(pods, pod('b'));
    expect(await hear('+b')).toEqual(['+b']);
  });

  test('reads a line that comes in pieces', async () => {
    start();
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    const object = {
      ...pod('a', { name: 'käse' }),
      metadata: { name: 'a', namespace: 'shop', resourceVersion: '500' },
    };
    const bytes = Buffer.from(`${JSON.stringify({ type: 'ADDED', object })}\n`);
    for (const byte of bytes) api.say(String.fromCharCode(byte));
    expect(await hear('+a')).toEqual(['+a']);
  });

  test('waits for a slow reader', async () => {
    for (const name of ['a', 'b', 'c', 'd']) api.set(pods, pod(name));
    held = () => undefined;
    start(['Pod'], { pageSize: 1 });
    await settle(() => heard.length === 1);
    for (let i = 0; i < 20; i++) await clock.advance(1_000);
    expect(api.requests).toHaveLength(1);
    const release = held;
    held = undefined;
    release();
    expect(await hear('synced Pod')).toEqual(['+a', '+b', '+c', '+d', 'synced Pod']);
  });
});

describe('What cannot be read', () => {
  test.each([
    [403, 'Forbidden', 'pods is forbidden: User "x" cannot list resource "pods"', 'verbs: [list, watch]}'],
    [401, 'Unauthorized', 'Unauthorized', 'The token or certificate is wrong'],
    [500, 'InternalError', 'etcd is away', '500 InternalError'],
  ])(
    'is named with its cause and what cures it, and never taken for nothing: %i',
    async (status, reason, message, hint) => {
      api.set(pods, pod('a'));
      api.answering = () => refusal(status, reason, message);
      start();
      await settle(() => source.problems?.().length === 1);
      expect(source.problems?.()).toEqual([
        { object: 'pods', about: { kind: 'Pod' }, reason: expect.stringContaining(message) },
      ]);
      expect(source.problems?.()[0]?.reason).toContain(hint);
      expect(heard).toEqual([]);
      api.answering = () => undefined;
      expect(await hear('synced Pod')).toEqual(['+a', 'synced Pod']);
      await settle(() => source.problems?.().length === 0);
      expect(api.refreshed > 0).toBe(status === 401);
    },
  );

  test('later on takes nothing away that was handed over', async () => {
    for (const name of ['a', 'b']) api.set(pods, pod(name));
    start();
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    api.answering = () => refusal(403, 'Forbidden', 'not any more');
    api.forget();
    api.endWatches('cut');
    await settle(() => source.problems?.().length === 1);
    expect(source.unread?.()).toEqual(source.problems?.());
    await clock.advance(600_000);
    expect(heard).toEqual([]);
    api.delete(pods, 'shop', 'b');
    api.answering = () => undefined;
    expect(await hear('-b')).toEqual(['-b']);
    await settle(() => source.problems?.().length === 0);
    expect(source.unread?.()).toEqual([]);
  });

  test('of a listing that breaks off in the middle takes nothing away either', async () => {
    for (const name of ['a', 'b', 'c']) api.set(pods, pod(name));
    start(['Pod'], { pageSize: 1 });
    await hear('synced Pod');
    await settle(() => api.watches === 1);
    api.answering = (path) => (path.includes('continue=') ? refusal(500, 'InternalError', 'no more') : undefined);
    api.endWatches('cut');
    api.delete(pods, 'shop', 'a');
    api.forget();
    const asked = api.requests.length;
    await settle(() => api.requests.length > asked + 10);
    expect(heard).toEqual([]);
  });

  test('is asked for less and less often, and as late as the server wants it', async () => {
    api.answering = () => ({
      status: 429,
      body: { ...refusal(429, 'TooManyRequests', 'slow').body, retryAfterMs: 90_000 },
    });
    start();
    await settle(() => api.requests.length === 1);
    await clock.advance(80_000);
    expect(api.requests).toHaveLength(1);
    await clock.advance(20_000);
    expect(api.requests).toHaveLength(2);
    api.answering = () => refusal(500, 'InternalError', 'away');
    await clock.advance(3_600_000);
    expect(api.requests.length).toBeGreaterThan(60);
    expect(api.requests.length).toBeLessThan(140);
  });

  test('since its definition is missing is waited for by name, in each version that we know', async () => {
    const [beta, alpha] = ['v1beta1', 'v1alpha1'].map(
      (version) => `/apis/multicluster.x-k8s.io/${version}/serviceexports`,
    );
    start(['Pod', 'ServiceExport']);
    await hear('synced Pod');
    await settle(() => source.problems?.().length === 1);
    expect(source.problems?.()[0]).toMatchObject({
      object: 'serviceexports.multicluster.x-k8s.io',
      about: { kind: 'ServiceExport' },
      reason: expect.stringContaining('multicluster.x-k8s.io/v1beta1 or multicluster.x-k8s.io/v1alpha1'),
    });
    api.declare(alpha ?? '');
    api.set(alpha ?? '', {
      apiVersion: 'multicluster.x-k8s.io/v1alpha1',
      kind: 'ServiceExport',
      metadata: { name: 'web' },
    });
    expect(await hear('synced ServiceExport')).toEqual(['+web', 'synced ServiceExport']);
    await settle(() => source.problems?.().length === 0);
    expect(api.requests.some((path) => path.startsWith(beta ?? ''))).toBe(true);
  });

  test('under one version any more is read under another, without telling anything twice', async () => {
    const [beta = '', alpha = ''] = ['v1beta1', 'v1alpha1'].map(
      (version) => `/apis/multicluster.x-k8s.io/${version}/serviceexports`,
    );
    const exported = (version: string, name: string): RawObject => ({
      apiVersion: `multicluster.x-k8s.io/${version}`,
      kind: 'ServiceExport',
      metadata: { name, namespace: 'shop' },
    });
    api.declare(alpha);
    for (const name of ['a', 'b']) api.set(alpha, exported('v1alpha1', name));
    start(['ServiceExport']);
    expect(await hear('synced ServiceExport')).toEqual(['+a', '+b', 'synced ServiceExport']);
    await settle(() => api.watches === 1);
    api.withdraw(alpha);
    await settle(() => source.problems?.().length === 1);
    expect(heard).toEqual([]);
    api.declare(beta);
    api.set(beta, exported('v1beta1', 'b'));
    expect(await hear('-a')).toEqual(['+b', '-a']);
    await settle(() => source.problems?.().length === 0);
  });

  test('of one object costs that object alone: the version before stays, until it is valid again or gone', async () => {
    const broken = (name: string): RawObject => ({ ...pod(name), status: { podIPs: [{ ip: '10.0.0.300' }] } });
    for (const name of ['a', 'b']) api.set(pods, pod(name));
    api.set(pods, broken('c'));
    start();
    expect(await hear('synced Pod')).toEqual(['+a', '+b', 'synced Pod']);
    expect(source.problems?.()).toEqual([
      {
        object: 'Pod shop/c',
        about: { kind: 'Pod', namespace: 'shop', name: 'c' },
        reason: expect.stringContaining('status.podIPs[0].ip must be an IP address'),
      },
    ]);
    await settle(() => api.watches === 1);
    api.set(pods, broken('a'));
    api.set(pods, pod('d'));
    expect(await hear('+d')).toEqual(['+d']);
    expect(source.problems?.().map(({ object }) => object)).toEqual(['Pod shop/c', 'Pod shop/a']);
    api.set(pods, pod('a'));
    api.delete(pods, 'shop', 'c');
    await hear('-c');
    await settle(() => source.problems?.().length === 0);
  });
});

test('Whoever watches anew is told everything again', async () => {
  api.set(pods, pod('a'));
  start();
  await hear('synced Pod');
  stop.abort();
  await done;
  expect(api.watches).toBe(0);
  stop = new AbortController();
  start();
  expect(await hear('synced Pod')).toEqual(['+a', 'synced Pod']);
});
