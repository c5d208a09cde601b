import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { decodeIp } from '../../../../clustermesh/index.ts';
import {
  type CiliumEndpoint,
  type CiliumEndpointSlice,
  type CiliumIdentity,
  type KubernetesObject,
  followedKinds,
  manifestSource,
  toManifest,
} from '../../../../kubernetes/index.ts';
import { ClosedError, toText } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { Harness, namespace, yaml } from './harness.ts';

const ips = 'cilium/state/ip/v1/default/';
const nodes = 'cilium/state/nodes/v1/east/';
const identities = 'cilium/state/identities/v1/id/';
const canaries = 'cilium/synced/east/cilium/state/';
const notGlobal = ', annotations: {clustermesh.cilium.io/global: "false"}';

function endpoint(name: string, ip: string, identity = 65_600, ns = 'shop'): CiliumEndpoint {
  return {
    kind: 'CiliumEndpoint',
    metadata: { name, namespace: ns, uid: '', labels: {}, annotations: {} },
    status: {
      identity,
      networking: { addressing: [{ ipv4: ip }], node: '172.18.0.2' },
      encryptionKey: 0,
      namedPorts: [],
    },
  };
}

function batch(name: string, ns: string, ...endpoints: readonly CiliumEndpoint[]): CiliumEndpointSlice {
  return {
    kind: 'CiliumEndpointSlice',
    metadata: { name, namespace: '', uid: '', labels: {}, annotations: {} },
    namespace: ns,
    endpoints: endpoints.map(({ metadata, status }) => ({ name: metadata.name, ...status })),
  };
}

function identity(id: number, securityLabels: Readonly<Record<string, string>>): CiliumIdentity {
  return {
    kind: 'CiliumIdentity',
    metadata: { name: String(id), namespace: '', uid: '', labels: {}, annotations: {} },
    securityLabels,
  };
}

const inShop = { 'k8s:app': 'web', 'k8s:io.kubernetes.pod.namespace': 'shop' };

function node(name: string): readonly KubernetesObject[] {
  return yaml(
    `{apiVersion: cilium.io/v2, kind: CiliumNode, metadata: {name: ${name}}, spec: {addresses: [{type: InternalIP, ip: 172.18.0.2}], ipam: {podCIDRs: [10.1.0.0/24]}}}`,
  );
}

function harness(ciliumEndpointSlices = false): Harness {
  return new Harness(followedKinds({ mode: 'cilium', ciliumEndpointSlices, serviceExports: false }));
}

/** Keys of addresses that a reader sees go, until the store is closed. */
function deletionsOf({ store }: Harness): string[] {
  const deleted: string[] = [];
  const follow = async (): Promise<void> => {
    for await (const found of store.listAndWatch(ips, { signal: new AbortController().signal }))
      if (found.type === 'changes')
        for (const event of found.events) if (event.type === 'delete') deleted.push(toText(event.key));
  };
  follow().catch((error: unknown) => {
    if (!(error instanceof ClosedError)) throw error;
  });
  return deleted;
}

/** Pod behind each address. */
async function pods(it: Harness): Promise<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(await it.stored(ips)).map(([ip, value]) => [ip, decodeIp(ip, value).podName]),
  );
}

describe('An address that two endpoints claim', () => {
  async function two(it: Harness): Promise<string[]> {
    const deleted = deletionsOf(it);
    it.add(endpoint('first', '10.1.0.5'), endpoint('second', '10.1.0.5'));
    it.source.markSynced();
    await it.start();
    expect(await pods(it)).toEqual({ '10.1.0.5': 'first' });
    return deleted;
  }

  test('stays with the first until it goes, then is the other one’s without a gap, and goes with the last', async () => {
    await using it = harness();
    const deleted = await two(it);
    it.add(endpoint('second', '10.1.0.5', 65_700));
    await it.settle();
    expect(await pods(it)).toEqual({ '10.1.0.5': 'first' });
    it.source.delete('CiliumEndpoint', 'shop', 'first');
    await it.settle();
    expect(decodeIp('10.1.0.5', (await it.stored(ips))['10.1.0.5'] ?? '')).toMatchObject({
      podName: 'second',
      identity: 65_700,
    });
    expect(deleted).toEqual([]);
    it.source.delete('CiliumEndpoint', 'shop', 'second');
    await it.settle();
    expect([await pods(it), deleted]).toEqual([{}, [`${ips}10.1.0.5`]]);
  });

  test('is not touched when the one who waits for it goes', async () => {
    await using it = harness();
    const deleted = await two(it);
    it.source.delete('CiliumEndpoint', 'shop', 'second');
    await it.settle();
    expect([await pods(it), deleted]).toEqual([{ '10.1.0.5': 'first' }, []]);
  });

  test('goes over when the first gets another one', async () => {
    await using it = harness();
    const deleted = await two(it);
    it.add(endpoint('first', '10.1.0.6'));
    await it.settle();
    expect([await pods(it), deleted]).toEqual([{ '10.1.0.5': 'second', '10.1.0.6': 'first' }, []]);
  });

  test('goes over when the namespace of the first is no longer exported, and does not come back', async () => {
    await using it = harness();
    it.add(endpoint('first', '10.1.0.5', 65_600, 'mail'), endpoint('second', '10.1.0.5'));
    it.source.markSynced();
    await it.start();
    expect(await pods(it)).toEqual({ '10.1.0.5': 'first' });
    it.add(...namespace('mail', notGlobal));
    await it.settle();
    expect(await pods(it)).toEqual({ '10.1.0.5': 'second' });
    it.add(...namespace('mail'));
    await it.settle();
    expect(await pods(it)).toEqual({ '10.1.0.5': 'second' });
  });

  test('moves between slices without a gap', async () => {
    await using it = harness(true);
    it.add(batch('a', 'shop', endpoint('p', '10.1.0.5'), endpoint('q', '10.1.0.6')));
    it.source.markSynced();
    await it.start();
    const { revision } = it.engine;
    it.add(batch('b', 'shop', endpoint('p', '10.1.0.5')), batch('a', 'shop', endpoint('q', '10.1.0.6')));
    await it.settle();
    expect(await pods(it)).toEqual({ '10.1.0.5': 'p', '10.1.0.6': 'q' });
    // Equal values are not written again.
    expect(it.engine.revision).toBe(revision);
    it.source.delete('CiliumEndpointSlice', '', 'b');
    await it.settle();
    expect(await pods(it)).toEqual({ '10.1.0.6': 'q' });
  });
});

describe('A namespace that is not global', () => {
  test.each([false, true])('keeps its identities and endpoints to itself (slices: %p)', async (slices) => {
    await using it = harness(slices);
    const inside = endpoint('web-1', '10.1.0.5');
    it.add(
      ...namespace('shop', notGlobal),
      ...node('n1'),
      identity(65_600, inShop),
      slices ? batch('a', 'shop', inside) : inside,
    );
    it.source.markSynced();
    await it.start();
    const all = async (): Promise<string[][]> => [await it.keys(ips), await it.keys(identities), await it.keys(nodes)];
    expect(await all()).toEqual([[], [], ['n1']]);
    it.add(...namespace('shop'));
    await it.settle();
    expect(await all()).toEqual([['10.1.0.5'], ['65600'], ['n1']]);
    it.add(...namespace('shop', notGlobal));
    await it.settle();
    expect(await all()).toEqual([[], [], ['n1']]);
  });
});

test('Identities without labels or namespace are skipped and named, those that Cilium deletes go, all are under a lease', async () => {
  await using it = harness();
  it.add(identity(65_600, inShop), identity(65_601, {}), identity(65_602, { 'k8s:app': 'web' }));
  it.source.markSynced();
  await it.start();
  expect(await it.stored(identities)).toEqual({ '65600': 'k8s:app=web;k8s:io.kubernetes.pod.namespace=shop;' });
  expect(it.apiserver.status().errors).toEqual([
    { object: 'CiliumIdentity//65601', reason: 'security-labels must not be empty' },
    { object: 'CiliumIdentity//65602', reason: 'security-labels must have k8s:io.kubernetes.pod.namespace' },
  ]);
  expect((await it.store.get(`${identities}65600`))?.lease).not.toBe(0n);
  it.source.delete('CiliumIdentity', '', '65600');
  await it.settle();
  expect(await it.keys(identities)).toEqual([]);
});

test('Nothing waits for agents of ours, and nothing is written for them', async () => {
  await using it = harness();
  it.add(...node('n1'), endpoint('web-1', '10.1.0.5'));
  it.source.markSynced();
  await it.start();
  expect(it.apiserver.status()).toMatchObject({
    ready: true,
    mode: 'cilium',
    silentNodes: [],
    counts: { nodes: 1, endpoints: 1, identities: 0 },
  });
  expect(await it.keys('isthmus/')).toEqual([]);
});

test('A later life removes nodes, addresses and identities that are gone, each after the listing of its kind', async () => {
  await using it = harness();
  it.add(...node('n1'), endpoint('web-1', '10.1.0.5'), identity(65_600, inShop));
  it.source.markSynced();
  await it.start();
  await it.stop();
  await it.store.put('cilium/state/nodes/v1/west/n9', 'not ours');
  const { kinds } = it.source;
  const { MemorySource } = await import('../../../../kubernetes/index.ts');
  const source = new MemorySource('later', kinds);
  source.markSynced(['Namespace', 'CiliumNode']);
  await it.start({ source });
  const all = async (): Promise<string[][]> => [await it.keys(nodes), await it.keys(ips), await it.keys(identities)];
  expect(await all()).toEqual([[], ['10.1.0.5'], ['65600']]);
  source.markSynced();
  await it.settle();
  expect(await all()).toEqual([[], [], []]);
  expect(await it.keys('cilium/state/nodes/v1/west/')).toEqual(['n9']);
});

describe.each([false, true])('A restart while an endpoint cannot be read (slices: %p)', (slices) => {
  test('keeps its addresses, and no others', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'isthmus-cilium-'));
    try {
      await using it = harness(slices);
      const { kinds } = it.source;
      const objects = ['web-1', 'web-2'].map((name, i) => {
        const one = endpoint(name, `10.1.0.${i + 5}`);
        return toManifest(slices ? batch(name, 'shop', one) : one);
      });
      const write = async (name: string, text: string): Promise<void> => {
        await writeFile(join(folder, '.new'), text);
        await rename(join(folder, '.new'), join(folder, `${name}.yaml`));
      };
      const until = async (holds: () => boolean | Promise<boolean>): Promise<void> => {
        for (let i = 0; !(await holds()); i++) {
          if (i === 500) throw new Error(`not reached: ${JSON.stringify(it.apiserver.status())}`);
          await it.clock.advance(500);
          await systemClock.sleep(2);
        }
      };
      const open = () => manifestSource({ directory: folder, kinds, clock: it.clock, rescanMs: 1_000 });
      await write('one', JSON.stringify(objects[0]));
      await write('two', JSON.stringify(objects[1]));
      await it.start({ source: open() });
      await until(() => it.apiserver.ready);
      expect(await it.keys(ips)).toEqual(['10.1.0.5', '10.1.0.6']);
      await it.stop();
      await write('one', JSON.stringify(objects[0]).replace('"id":65600', '"id":"broken"'));
      await write('two', '');
      await it.start({ source: open() });
      await until(() => it.apiserver.status().errors.length > 0 && it.apiserver.status().queued === 0);
      await it.clock.advance(5_000);
      // Of a slice that cannot be read nobody knows which addresses it holds.
      expect(await it.keys(ips)).toEqual(slices ? ['10.1.0.5', '10.1.0.6'] : ['10.1.0.5']);
      expect(it.apiserver.status()).toMatchObject({
        ready: false,
        canaries: expect.not.arrayContaining([`${canaries}ip/v1`]),
      });
      await write('one', '');
      await until(() => it.apiserver.ready);
      expect(await it.keys(ips)).toEqual([]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
