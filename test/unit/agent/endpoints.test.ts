import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { EndpointFile, EndpointManager, EndpointTable, parseEndpointRequest } from '../../../agent/endpoints/index.ts';
import type { WorkloadRecord } from '../../../clustermesh/index.ts';
import { MemoryKernel } from '../../../kernel/memory/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { removeDirectory, temporaryDirectory } from './support.ts';

const workload = (changes: Partial<WorkloadRecord> = {}): WorkloadRecord => ({
  node: 'e1',
  namespace: 'shop',
  name: 'a',
  uid: 'u',
  labels: {},
  identity: 65_537,
  namedPorts: [],
  serviceAccount: 'default',
  ips: [],
  ...changes,
});

describe('endpoints of a node', () => {
  let directory: string;
  let kernel: MemoryKernel;
  const workloads = new Map<string, WorkloadRecord>();
  const calls: string[] = [];

  const open = (bootId = 'boot-1') => {
    const table = new EndpointTable();
    const manager = new EndpointManager({
      table,
      file: new EndpointFile(directory, bootId),
      network: kernel.network,
      datapath: {
        attachEndpoint: async (link) => void calls.push(`attach ${link}`),
        detachEndpoint: async (link) => void calls.push(`detach ${link}`),
        keepEndpoints: async (links) => void calls.push(`keep ${[...links].join()}`),
      },
      workload: (key) => workloads.get(key),
      programmed: async () => void calls.push('programmed'),
      log: silentLogger,
    });
    return { table, manager };
  };
  const request = (name: string, ips: readonly string[], link = `lxc${name}`) =>
    parseEndpointRequest({ namespace: 'shop', name }, { ips, link, mac: '02:00:00:00:00:0A' });

  beforeEach(async () => {
    directory = await temporaryDirectory();
    kernel = new MemoryKernel();
    workloads.clear();
    calls.length = 0;
    for (const name of ['lxca', 'lxcb', 'lxcc'])
      await kernel.network.createLink({ kind: 'veth', name, up: true, peer: { name: 'eth0', netns: 99 } });
  });
  afterEach(async () => {
    await removeDirectory(directory);
  });

  test('are programmed before their programs run, and on disk before the answer', async () => {
    const { manager } = open();
    workloads.set('shop/a', workload());
    const endpoint = await manager.put(request('a', ['10.1.1.5']));
    expect(endpoint).toEqual({
      namespace: 'shop',
      name: 'a',
      endpointId: 1,
      ips: ['10.1.1.5'],
      link: 'lxca',
      linkIndex: 2,
      mac: '02:00:00:00:00:0a',
      nodeMac: '02:00:00:00:00:02',
      identity: 65_537,
      serviceAccount: 'default',
      namedPorts: [],
    });
    expect(calls).toEqual(['programmed', 'attach 2']);
    expect(JSON.parse(await readFile(join(directory, 'endpoints.json'), 'utf8'))).toMatchObject({
      endpoints: [endpoint],
    });
    expect(await manager.put(request('a', ['10.1.1.5']))).toEqual(endpoint);
  });

  test('are init until the cluster knows them, and follow it then', async () => {
    const { table, manager } = open();
    expect(await manager.put(request('a', ['10.1.1.5']))).toMatchObject({ identity: 5 });
    workloads.set('shop/a', workload({ identity: 0, serviceAccount: 'web' }));
    await manager.workloadChanged('shop/a');
    expect(table.get('shop/a')).toMatchObject({ identity: 5, serviceAccount: 'web' });
    workloads.set('shop/a', workload({ identity: 65_540 }));
    await manager.workloadChanged('shop/a');
    expect(table.get('shop/a')).toMatchObject({ identity: 65_540 });
    workloads.delete('shop/a');
    await manager.workloadChanged('shop/a');
    expect(table.get('shop/a')).toMatchObject({ identity: 65_540 });
  });

  test('get the addresses that the cluster assigned when none is given', async () => {
    const { manager } = open();
    await expect(manager.put(request('a', []))).rejects.toMatchObject({ status: 409, code: 'NO_ADDRESS' });
    workloads.set('shop/a', workload({ ips: ['10.1.1.9'] }));
    expect(await manager.put(request('a', []))).toMatchObject({ ips: ['10.1.1.9'] });
  });

  test.each([
    { what: 'an address of another endpoint', name: 'b', ips: ['10.1.1.5'], link: 'lxcb', code: 'ADDRESS_IN_USE' },
    { what: 'a device of another endpoint', name: 'b', ips: ['10.1.1.6'], link: 'lxca', code: 'LINK_IN_USE' },
    { what: 'a device that does not exist', name: 'b', ips: ['10.1.1.6'], link: 'lxcz', code: 'NO_SUCH_LINK' },
  ])('with $what are refused', async ({ name, ips, link, code }) => {
    const { table, manager } = open();
    await manager.put(request('a', ['10.1.1.5']));
    await expect(manager.put(request(name, ips, link))).rejects.toMatchObject({ status: 409, code });
    expect(table.size).toBe(1);
  });

  test.each([
    { what: 'no body', params: { namespace: 'shop', name: 'a' }, body: undefined, words: 'body' },
    { what: 'a bad name', params: { namespace: 'Shop', name: 'a' }, body: {}, words: 'namespace' },
    {
      what: 'a bad address',
      params: { namespace: 'shop', name: 'a' },
      body: { ips: ['10.1.1'], link: 'l', mac: '02:00:00:00:00:01' },
      words: 'ips',
    },
    {
      what: 'no device',
      params: { namespace: 'shop', name: 'a' },
      body: { ips: [], mac: '02:00:00:00:00:01' },
      words: 'link',
    },
    {
      what: 'a bad MAC',
      params: { namespace: 'shop', name: 'a' },
      body: { ips: [], link: 'l', mac: 'x' },
      words: 'mac',
    },
  ])('asked for with $what are refused by name', ({ params, body, words }) => {
    expect(() => parseEndpointRequest(params, body)).toThrow(words);
  });

  test('of an earlier life come back with number and identity, and those without a device are dropped', async () => {
    const first = open();
    workloads.set('shop/a', workload());
    const a = await first.manager.put(request('a', ['10.1.1.5']));
    await first.manager.put(request('b', ['10.1.1.6']));
    await first.manager.put(request('c', ['10.1.1.7']));
    await first.manager.delete('shop/b');
    await kernel.network.deleteLink('lxcc');
    workloads.clear();
    calls.length = 0;
    const second = open();
    expect(await second.manager.restore()).toEqual({ fresh: false, restored: 1, gone: ['shop/c'] });
    expect(second.table.list()).toEqual([a]);
    expect(calls).toEqual(['attach 2', 'keep 2']);
    // Numbers of the dead are not given to the living at once.
    expect(await second.manager.put(request('b', ['10.1.1.8']))).toMatchObject({ endpointId: 4 });
    // One that comes back with another device is the one that it was.
    await kernel.network.createLink({ name: 'lxcc', kind: 'dummy' });
    expect(await second.manager.put(request('c', ['10.1.1.7']))).toMatchObject({ endpointId: 3 });
  });

  test('do not come back after a reboot, when devices have other numbers', async () => {
    const first = open();
    await first.manager.put(request('a', ['10.1.1.5']));
    expect(await open('boot-2').manager.restore()).toEqual({ fresh: true, restored: 0, gone: [] });
  });

  test('in a file that nobody understands stop the start, with the file’s name', async () => {
    await writeFile(join(directory, 'endpoints.json'), '{"version":9}');
    await expect(open().manager.restore()).rejects.toThrow('endpoints.json');
  });
});
