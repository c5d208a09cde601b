import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EndpointTable, type NodeEndpoint } from '../../../agent/endpoints/index.ts';
import { HeldNumbers } from '../../../agent/registration/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';

const own = { cluster: 'east', clusterId: 3, name: 'n1', ip: '192.168.1.1', bootId: 'b' };
const key = 'isthmus/v1/held/n1';
const web = (3 << 16) + 7;

const endpoint = (name: string, identity: number, hidden = false): NodeEndpoint => ({
  namespace: 'shop',
  name,
  endpointId: name.length,
  ips: [`10.0.0.${name.length}`],
  link: name,
  linkIndex: name.length,
  mac: '',
  nodeMac: '',
  identity,
  serviceAccount: '',
  namedPorts: [],
  ...(hidden ? { hidden } : {}),
});

describe('what a node holds', () => {
  let stateDirectory: string;
  let said: string[];
  let texts: Map<number, string>;
  let endpoints: EndpointTable;
  let clock: VirtualClock;
  beforeEach(async () => {
    clock = new VirtualClock();
    stateDirectory = await mkdtemp(join(tmpdir(), 'isthmus-held-'));
    said = [];
    texts = new Map();
    endpoints = new EndpointTable();
  });
  afterEach(() => rm(stateDirectory, { recursive: true }));

  const open = (more: { readonly maxConnectedClusters?: 511 } = {}): HeldNumbers =>
    new HeldNumbers(own, {
      keys: {
        set: (name, value) => {
          expect(name).toBe(key);
          said.push(String(value));
        },
      },
      endpoints,
      textOf: (id) => texts.get(id),
      stateDirectory,
      clock,
      log: silentLogger,
      ...more,
    });

  test('is said at once where it is nothing, and whenever it changes', async () => {
    const held = open();
    await held.restore();
    expect(said).toEqual(['{}']);
    texts.set(web, 'k8s:app=web;');
    endpoints.set(endpoint('a', web));
    endpoints.set(endpoint('bb', web));
    endpoints.set(endpoint('ccc', 5));
    expect(said.slice(1)).toEqual([`{"identities":{"${web}":"k8s:app=web;"}}`]);
    endpoints.set(endpoint('a', web, true));
    endpoints.delete('shop/bb');
    expect(said.at(-1)).toBe(`{"hidden":{"${web}":"k8s:app=web;"}}`);
    endpoints.delete('shop/a');
    expect(said.at(-1)).toBe('{}');
    await held.saved();
  });

  test('is not said before all of it is known', async () => {
    endpoints.set(endpoint('a', web));
    const held = open();
    await held.restore();
    held.learnt();
    expect(said).toEqual([]);
    texts.set(web, 'k8s:app=web;');
    held.learnt();
    expect(said).toEqual([`{"identities":{"${web}":"k8s:app=web;"}}`]);
    await held.saved();
  });

  test('is known to the next life, whatever the store says by then', async () => {
    texts.set(web, 'k8s:app=web;');
    endpoints.set(endpoint('a', web));
    const first = open();
    await first.restore();
    await first.saved();
    texts.set(web, 'k8s:app=other;');
    const second = open();
    await second.restore();
    expect(said).toEqual([`{"identities":{"${web}":"k8s:app=web;"}}`, `{"identities":{"${web}":"k8s:app=web;"}}`]);
    await second.saved();
    expect(await readFile(join(stateDirectory, 'identities.json'), 'utf8')).toContain('app=web');
  });

  test('does not depend on a file that cannot be read', async () => {
    await writeFile(join(stateDirectory, 'identities.json'), '{');
    const held = open();
    await held.restore();
    expect(said).toEqual(['{}']);
    await held.saved();
  });

  test('is of the own cluster, in a mesh of 511 clusters too', async () => {
    const id = (3 << 15) + 9;
    texts.set(id, 'k8s:app=web;');
    endpoints.set(endpoint('a', id));
    const held = open({ maxConnectedClusters: 511 });
    await held.restore();
    expect(said).toEqual([`{"identities":{"${id}":"k8s:app=web;"}}`]);
    await held.saved();
  });

  test('is said again to whoever asks, with the question, and from then on', async () => {
    endpoints.set(endpoint('a', web));
    const held = open();
    held.asked('first');
    await held.restore();
    expect(said).toEqual([]);
    texts.set(web, 'k8s:app=web;');
    held.learnt();
    held.asked('first');
    held.asked('second');
    endpoints.delete('shop/a');
    expect(said).toEqual([
      `{"identities":{"${web}":"k8s:app=web;"},"answers":"first"}`,
      `{"identities":{"${web}":"k8s:app=web;"},"answers":"second"}`,
      '{"answers":"second"}',
    ]);
    await held.saved();
  });

  test('comes with what is remembered of other numbers, for an hour', async () => {
    const held = open();
    await held.restore();
    held.asked('who', [[web, 0xdead_beef]]);
    await clock.advance(59 * 60_000);
    texts.set(web, 'k8s:app=web;');
    endpoints.set(endpoint('a', web));
    await clock.advance(2 * 60_000);
    endpoints.delete('shop/a');
    expect(said.slice(1)).toEqual([
      '{"answers":"who","remembered":"AAMAB96tvu8="}',
      `{"identities":{"${web}":"k8s:app=web;"},"answers":"who","remembered":"AAMAB96tvu8="}`,
      '{"answers":"who"}',
    ]);
    await held.saved();
  });

  test('is said no more once the node has left', async () => {
    const held = open();
    await held.restore();
    held.leave();
    held.asked('whatever');
    texts.set(web, 'k8s:app=web;');
    endpoints.set(endpoint('a', web));
    expect(said).toEqual(['{}']);
    await held.saved();
  });
});
