import { describe, expect, test } from '@jest/globals';
import { MemoryKernel } from '../../../kernel/index.ts';

const object = new URL('../../fixtures/bpf/probe.bpf.o', import.meta.url).pathname;

describe('the in-memory kernel', () => {
  test('keeps its state when it is disposed of, for the next life of an agent', async () => {
    const kernel = new MemoryKernel();
    {
      await using open = kernel;
      await open.network.createLink({ kind: 'vxlan', name: 'isth0', port: 8472, up: true });
      using loaded = await open.bpf.load({ path: object, pinDirectory: '/pins/node' });
      loaded.map('table').update(Buffer.from([1, 0, 0, 0]), Buffer.alloc(8, 7));
    }
    expect((await kernel.describe()).split('\n')).toEqual([
      'link isth0: index 2 mtu 1500 state up vxlan external dstport 8472 lladdr 02:00:00:00:00:02',
      'link lo: index 1 mtu 65536 state down lladdr 00:00:00:00:00:00',
      'bridge fdb dev isth0 no entries (external: each packet brings its tunnel endpoint, from the ipcache)',
      'map flows: lpm-trie key 20B value 8B max_entries 64',
      'map seen: percpu-array key 4B value 8B max_entries 4',
      'map slots: array key 4B value 8B max_entries 4',
      'map table 01000000 => 0707070707070707',
      'map table: hash key 4B value 8B max_entries 16',
    ]);
  });

  test('remembers the sysctls that were set', async () => {
    const { network } = new MemoryKernel();
    await network.setSysctl('ipv4/ip_forward', '1');
    expect(network.sysctl('ipv4/ip_forward')).toBe('1');
  });

  test('a veth peer in a namespace that nobody knows is seen nowhere', async () => {
    const { network } = new MemoryKernel();
    await network.createLink({ kind: 'veth', name: 'lxc1', peer: { name: 'eth0', netns: 99 } });
    expect((await network.links()).map(({ name }) => name)).toEqual(['lo', 'lxc1']);
  });
});
