import { expect, test } from '@jest/globals';
import { AddressRules, OwnSpace } from '../../../../clustermesh/acceptance/index.ts';
import { decodeIp, encodeIp } from '../../../../clustermesh/wire/index.ts';
import { createMeshView } from '../../../../clustermesh/view/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

const values = [
  '"Mask":null,"HostIP":"172.16.0.1","ID":513,"Key":3,"Metadata":"cilium-global:west:n1:17","K8sNamespace":"shop","K8sPodName":"web-7d9f-x2x9k","K8sServiceAccount":"default"}',
  '"Mask":null,"HostIP":"172.16.0.1","ID":513,"Key":0,"Metadata":"cilium-global:west:n1:18","K8sNamespace":"shop","K8sPodName":"plain"}',
  '"Mask":null,"HostIP":"172.16.0.2","ID":514,"Key":0,"Metadata":""}',
  '"Mask":null,"HostIP":"172.16.0.2","ID":7,"Key":0,"Metadata":"m","K8sPodName":"db-0","NamedPorts":[{"Name":"http","Port":80,"Protocol":"TCP"}]}',
] as const;
const pieces = [
  '}',
  '"',
  ',',
  '{',
  'a1b2c',
  '-x',
  '0',
  ' ',
  '\\',
  '\u0007',
  ':',
  'null',
  '"K8sPodName":"web-7d9f-abcde"',
] as const;

function mutated(text: string, random: Random): string {
  const at = random.int(text.length + 1);
  switch (random.int(4)) {
    case 0:
      return text.slice(0, at) + random.pick(pieces) + text.slice(at);
    case 1:
      return text.slice(0, at) + text.slice(at + 1 + random.int(3));
    case 2:
      return text + random.pick(pieces);
    default:
      return text.slice(0, at) + text.slice(random.int(text.length + 1));
  }
}

/** JSON.parse is the judge: what the scanner of bytes takes must be what that reads, whatever was taken before. */
test('a row is taken from bytes only where the JSON says the same', () => {
  const random = new Random(20261129);
  const view = createMeshView({ ownCluster: 'east' });
  const rows = view.writer({ cluster: 'west', clusterId: 2 }).ipRows();
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    const ip = `10.0.${random.int(4)}.${random.int(40)}`;
    const plain = `{"IP":"${ip}",${random.pick(values)}`;
    const text = random.chance(0.3) ? plain : mutated(plain, random);
    const [key, value] = [Buffer.from(ip), Buffer.from(text)];
    if (!rows.put(key, 0, key.length, value, 0, value.length)) continue;
    taken += 1;
    const record = view.ip(`${ip}/32`);
    const wanted = encodeIp(decodeIp(ip, text));
    if (record === undefined || encodeIp(record) !== wanted) throw new Error(`Taken otherwise than it reads: ${text}`);
  }
  expect(taken).toBeGreaterThan(5000);
});

/** What one cluster says must not be read into what another one says, whatever came and went in between. */
test('rows of clusters that take turns, change and leave are what each of them said last', () => {
  const random = new Random(7);
  const view = createMeshView({ ownCluster: 'east' });
  const clusterOf = (cluster: string, clusterId: number) => {
    const writer = view.writer({ cluster, clusterId });
    return { cluster, writer, rows: writer.ipRows(), said: new Map<string, string>() };
  };
  const clusters = [clusterOf('west', 2), clusterOf('north', 3), clusterOf('south', 4)] as const;
  const hosts = ['172.16.0.1', '172.16.0.2', 'fd00::1', ''] as const;
  for (let step = 0; step < 4000; step++) {
    const { rows, said, writer } = random.pick(clusters);
    const host = random.pick(hosts);
    const metadata: string = random.pick(['', 'cilium-global:west:n1:', 'n:0', '12']);
    // Mostly neighbours of one node, as in a listing.
    for (let left = random.int(8); left >= 0; left--) {
      const ip = `10.0.${random.int(2)}.${random.int(20)}`;
      const key = Buffer.from(ip);
      if (random.chance(0.25)) {
        expect(rows.delete(key, 0, key.length)).toBe(said.delete(ip));
        continue;
      }
      const number = metadata.endsWith(':') ? 1 + random.int(70_000) : '';
      const head = `"Mask":null,"HostIP":"${host}","ID":${random.int(300)},"Key":${random.int(2)}`;
      const value = Buffer.from(`{"IP":"${ip}",${head},"Metadata":"${metadata}${number}"}`);
      expect(rows.put(key, 0, key.length, value, 0, value.length)).toBe(true);
      said.set(ip, encodeIp(decodeIp(ip, value)));
    }
    if (random.chance(0.01)) {
      writer.drain();
      said.clear();
    }
    if (step % 400 > 0) continue;
    for (const each of clusters)
      expect([...view.saidBy(each.cluster).ips].map(encodeIp).toSorted()).toEqual([...each.said.values()].toSorted());
  }
});

test('a host is asked for anew when it lies where that of an earlier value lay', () => {
  const view = createMeshView({ ownCluster: 'east' });
  const own = new OwnSpace();
  own.set('node/e1', { blocks: [], hosts: ['172.16.0.2'] });
  const rules = new AddressRules(own.content());
  const rows = view.writer({ cluster: 'west', clusterId: 2 }).ipRows({ addresses: () => rules });
  const key = Buffer.from('10.0.0.1');
  // A page of a listing lies where the page before it lay.
  const block = Buffer.alloc(256);
  const put = (host: string): boolean => {
    const value = `{"IP":"10.0.0.1","Mask":null,"HostIP":"${host}","ID":513,"Key":0,"Metadata":""}`;
    const length = block.write(value);
    return rows.put(key, 0, key.length, block, 0, length);
  };
  expect([put('172.16.0.1'), put('172.16.0.2'), put('172.16.0.1')]).toEqual([true, false, true]);
});
