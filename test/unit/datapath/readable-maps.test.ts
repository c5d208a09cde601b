import { expect, test } from '@jest/globals';
import { readableMaps } from '../../../datapath/index.ts';

// As a node's kernel printed them.
const dumped = `link lxc2b8bba6626: index 4 mtu 1500 state up veth lladdr 02:f1:c1:7f:b3:3f
route 10.2.0.0/24 via 169.254.2.1 dev isth0 proto 105 src 172.30.1.11 mtu 1450
map isthmus_ipcache 38000000000000010a020000000000000000000000000000 => 02000000ac1e020b00000000000000000000000000000002
map isthmus_ipcache 40000000000000010a01000a000000000000000000000000 => 026201000000000000000000000000000000000000000000
map isthmus_ipcache 4000000000000001ac1e020b000000000000000000000000 => 06000000ac1e020b0000000000000000000000000000000a
map isthmus_ipcache: lpm-trie key 24B value 24B max_entries 512000
map isthmus_lb4_be 03000000 => 0a01000a1f90060000000000
map isthmus_lb4_be 04000000 => 0a02000a1f90060000000000
map isthmus_lb4_rev 0002 => 0a80000a0050
map isthmus_lb4_svc 0a80000a0050000006000000 => 000000010200000200000000
map isthmus_lb4_svc 0a80000a0050010006000000 => 030000000000000200000000
map isthmus_lb4_svc 0a80000a0050020006000000 => 040000000000000200000000
map isthmus_lxc 0a01000a00000000000000000000000001000000 => 04000000000001000000000000000000022b8bba6626000002f1c17fb33f000002620100000000000000000000000000
map isthmus_lxc ac1e010b00000000000000000000000001000000 => 000000000000000001000000000000000000000000000000000000000000000000000000000000000000000000000000
map isthmus_nat4rev 00 => 01`;

test('a dump of the maps is told in words, and what holds no knowledge of ours stays as it is', () => {
  expect(readableMaps(dumped).split('\n')).toEqual([
    'link lxc2b8bba6626: index 4 mtu 1500 state up veth lladdr 02:f1:c1:7f:b3:3f',
    'route 10.2.0.0/24 via 169.254.2.1 dev isth0 proto 105 src 172.30.1.11 mtu 1450',
    'map isthmus_ipcache 10.1.0.10/32 => identity 90626',
    'map isthmus_ipcache 10.2.0.0/24 => identity 2 tunnel 172.30.2.11',
    'map isthmus_ipcache 172.30.2.11/32 => identity 6 tunnel 172.30.2.11 remote-cluster',
    'map isthmus_ipcache: lpm-trie key 24B value 24B max_entries 512000',
    'map isthmus_lb4_be 3 => 10.1.0.10:8080/TCP active',
    'map isthmus_lb4_be 4 => 10.2.0.10:8080/TCP active',
    'map isthmus_lb4_rev 2 => 10.128.0.10:80',
    'map isthmus_lb4_svc 10.128.0.10:80/TCP => 10.1.0.10:8080, 10.2.0.10:8080 (rev-nat 2)',
    'map isthmus_lxc 10.1.0.10 => endpoint 1 identity 90626 dev lxc2b8bba6626 mac 02:2b:8b:ba:66:26 node-mac 02:f1:c1:7f:b3:3f',
    'map isthmus_lxc 172.30.1.11 => host',
    'map isthmus_nat4rev 00 => 01',
  ]);
});

test('a row that makes no sense leaves its map as it was dumped', () => {
  const row = 'map isthmus_ipcache 400000000000000900000000000000000000000000000000 => 02000000';
  expect(readableMaps(row)).toBe(row);
});
