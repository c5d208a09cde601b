import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { ownSetKey } from '../../../../clustermesh/index.ts';
import { type KubernetesSource, manifestSource } from '../../../../kubernetes/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { Harness } from './harness.ts';

const services = 'cilium/state/services/v1/east/';
const canary = 'cilium/synced/east/cilium/state/services/v1';
const web = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, annotations: {service.cilium.io/global: "true"}}
spec: {clusterIP: 10.96.0.7, ports: [{name: http, port: 80}]}
`;
const api = web.replace('name: web', 'name: api');
const namespaces = '{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: red}}}';
const node = '{apiVersion: v1, kind: Node, metadata: {name: n1}}';
const pod = `
apiVersion: v1
kind: Pod
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec: {nodeName: n1}
status: {phase: Running, podIPs: [{ip: 10.1.0.5}]}
`;
const slice = (name: string, address: string): string => `
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: ${name}, namespace: shop, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
endpoints: [{addresses: [${address}]}]
ports: [{name: http, port: 8080}]
`;

let folder = '';
let it: Harness;
let source: KubernetesSource;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-unread-'));
  it = new Harness();
  source = manifestSource({ directory: folder, clock: it.clock, rescanMs: 1_000 });
  await it.store.put(ownSetKey('n1'), 'now');
  await write({ namespaces, node, web, api, pod, one: slice('one', '10.1.0.5'), two: slice('two', '10.1.0.6') });
});
afterEach(async () => {
  await it[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(folder, '.new'), text);
    await rename(join(folder, '.new'), join(folder, `${name}.yaml`));
  }
}

/** Virtual time passes, and real time for the file system. */
async function until(what: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; !(await what()); i++) {
    if (i === 500) throw new Error(`not reached: ${JSON.stringify(it.apiserver.status(), undefined, 1)}`);
    await it.clock.advance(500);
    await systemClock.sleep(2);
  }
}

async function restart(change: Readonly<Record<string, string>> = {}): Promise<void> {
  await it.start({ source });
  await until(() => it.apiserver.ready);
  await it.stop();
  await write(change);
  source = manifestSource({ directory: folder, clock: it.clock, rescanMs: 1_000 });
  await it.start({ source });
}

const listed = (): boolean => Object.values(it.apiserver.status().synced).every(Boolean);
const settled = async (): Promise<void> => {
  await until(listed);
  await it.clock.advance(5_000);
  await it.settle();
};
const broken = {
  'is no YAML': 'kind: [',
  'has a bad field': web.replace('port: 80', 'port: eighty'),
};

describe('A restart while a manifest', () => {
  test.each(Object.entries(broken))('%s keeps what it described, beyond the old lease too', async (_, text) => {
    await it.start({ source });
    await until(() => it.apiserver.ready);
    const before = await it.stored(services);
    expect(Object.keys(before)).toEqual(['shop/api', 'shop/web']);
    const mark = (await it.stored(canary))[''];
    await it.stop();
    await write({ web: text });
    source = manifestSource({ directory: folder, clock: it.clock, rescanMs: 1_000 });
    await it.start({ source });
    await settled();
    expect(await it.stored(services)).toEqual(before);
    expect((await it.stored(canary))['']).toBe(mark);
    const { ready, waitingFor, errors, canaries } = it.apiserver.status();
    expect({ ready, written: canaries.includes(canary) }).toEqual({ ready: false, written: false });
    expect(waitingFor).toEqual([expect.stringContaining('web.yaml, document 1: ')]);
    expect(errors).toMatchObject([{ object: expect.stringContaining('web.yaml, document 1') }]);
    // A lease renews itself only as often as virtual time lets it.
    for (let i = 0; i < 20; i++) await it.clock.advance(60_000);
    expect(await it.stored(services)).toEqual(before);
    expect((await it.stored(canary))['']).toBe(mark);
    await write({ web });
    await until(() => it.apiserver.ready);
    expect(await it.stored(services)).toEqual(before);
    expect((await it.stored(canary))['']).not.toBe(mark);
    expect(it.apiserver.status()).toMatchObject({ waitingFor: [], errors: [] });
  });

  test('is broken removes at once what it cannot describe, and the rest when it is mended without it', async () => {
    await it.start({ source });
    await until(() => it.apiserver.ready);
    await it.stop();
    await write({ web: broken['has a bad field'], api: '' });
    source = manifestSource({ directory: folder, clock: it.clock, rescanMs: 1_000 });
    await it.start({ source });
    await settled();
    expect(await it.keys(services)).toEqual(['shop/web']);
    await write({ web: '' });
    await until(() => it.apiserver.ready);
    expect(await it.keys(services)).toEqual([]);
    expect(await it.keys('isthmus/v1/services/')).toEqual([]);
  });

  test('with backends is broken keeps them in the record of their service, while others get more', async () => {
    await restart({ two: slice('two', '10.1.0.300') });
    await settled();
    expect((await it.stored(services))['shop/web']).toContain('"10.1.0.6"');
    expect(await it.keys('isthmus/v1/endpoints/')).toEqual(['shop/web/one', 'shop/web/two']);
    await write({ two: slice('two', '10.1.0.7') });
    await until(() => it.apiserver.ready);
    const record = (await it.stored(services))['shop/web'];
    expect(record).toContain('"10.1.0.7"');
    expect(record).not.toContain('"10.1.0.6"');
  });

  test('of a namespace is broken exports nothing new of it, and leaves its pods their identities', async () => {
    await write({
      namespaces: namespaces.replace('labels', 'annotations: {clustermesh.cilium.io/global: "false"}, labels'),
    });
    await it.start({ source });
    await until(() => it.apiserver.ready);
    expect(await it.keys(services)).toEqual([]);
    await it.stop();
    const pods = await it.stored('isthmus/v1/workloads/');
    expect(Object.keys(pods)).toEqual(['n1/shop/web-1']);
    await write({ namespaces: 'kind: [' });
    source = manifestSource({ directory: folder, clock: it.clock, rescanMs: 1_000 });
    await it.start({ source });
    await settled();
    expect(await it.keys(services)).toEqual([]);
    expect(await it.stored('isthmus/v1/workloads/')).toEqual(pods);
    await it.clock.advance(3_600_000);
    expect(await it.keys('isthmus/v1/identities/')).toHaveLength(1);
    expect(await it.keys('cilium/state/identities/v1/id/')).toEqual([]);
    await write({ namespaces });
    await until(() => it.apiserver.ready);
    expect(await it.keys(services)).toEqual(['shop/api', 'shop/web']);
    expect(await it.keys('cilium/state/identities/v1/id/')).toHaveLength(1);
  });
});

test('Without an earlier life no canary is written for a set that could not be read', async () => {
  await write({ web: broken['has a bad field'] });
  await it.start({ source });
  await settled();
  expect(await it.keys(services)).toEqual(['shop/api']);
  expect(await it.keys('cilium/synced/east/cilium/state/')).toEqual([
    'identities/v1',
    'ip/v1',
    'nodes/v1',
    // Off, and therefore known to be empty.
    'serviceexports/v1',
  ]);
  expect(await it.keys('isthmus/v1/synced/')).toEqual(['endpoints', 'namespaces', 'nodes', 'policies', 'workloads']);
});

test('An object that makes no valid record any more keeps its key over a restart, until it is gone', async () => {
  await restart({ web: web.replace('10.96.0.7', '10.96.0.300') });
  const { errors } = it.apiserver.status();
  expect(errors).toEqual(expect.any(Array));
  await settled();
  expect(await it.keys(services)).toEqual(['shop/api', 'shop/web']);
  await write({ web: '' });
  await until(async () => (await it.keys(services)).length === 1);
  expect(await it.keys(services)).toEqual(['shop/api']);
});
