import { describe, expect, test } from '@jest/globals';
import { type IpRecord, IpScanner, decodeIp, encodeIp, suffixOfIp } from '../../../../clustermesh/wire/index.ts';
import { createMeshView } from '../../../../clustermesh/view/index.ts';
// The oracle: the plain table of objects that nodes and identities lie in.
import { IpTable } from '../../../../clustermesh/view/ip-table.ts';
import { MergedTable } from '../../../../clustermesh/view/merged-table.ts';
import { VersionSource } from '../../../../clustermesh/view/version-source.ts';
import { isDeepStrictEqual } from 'node:util';
import { formatPrefix } from '../../../../values/ip/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

const origins = ['east', 'west', 'north', 'south'].map((cluster, i) => ({ cluster, clusterId: i + 1 }));

function randomRecord(random: Random): IpRecord {
  const octet = 1 + random.int(40);
  const mask = random.chance(0.1);
  const ip = random.pick([`10.0.0.${octet}`, `10.0.0.${octet}`, `fd00::${octet.toString(16)}`]);
  const length = ip.includes(':') ? random.pick([64, 128]) : random.pick([24, 32]);
  const maskBytes = Buffer.alloc(ip.includes(':') ? 16 : 4);
  for (let i = 0; i < maskBytes.length; i++) maskBytes[i] = i * 8 < length ? 255 : 0;
  const member = mask && length < 32 ? `10.0.${octet}.0` : ip;
  const address = mask && length === 64 ? 'fd00::' : member;
  const text = JSON.stringify({
    IP: address,
    Mask: mask ? maskBytes.toString('base64') : null,
    HostIP: random.pick(['', '172.16.0.1', '172.16.0.2', 'fd00::1']),
    ID: 256 + random.int(4),
    Key: random.pick([0, 3, 255]),
    Metadata: random.pick(['', 'cilium-global:default:n1:17', 'cilium-global:default:n1:18', 'ünusual']),
    K8sNamespace: random.pick(['', 'shop', 'a"b']),
    K8sPodName: random.pick(['', 'web-7d9f-x2x9k', 'web-7d9f-abcde', 'plain', 'db-0', 'db-\u0007']),
    K8sServiceAccount: random.pick(['', 'default']),
    NamedPorts: random.pick([
      [],
      [{ Name: 'http', Port: 80, Protocol: 'TCP' }],
      [{ Name: 'q', Port: 1, Protocol: '132' }],
    ]),
  });
  return decodeIp(mask ? `${address}/${length}` : address, text);
}

describe('the table of addresses', () => {
  test.each([1, 2, 3, 4, 5, 6])(
    'does what a table of objects does, through rows and records alike (seed %i)',
    (seed) => {
      const random = new Random(seed);
      const view = createMeshView({ ownCluster: 'east' });
      const oracle = new MergedTable<string, IpRecord>('east', new VersionSource(), {
        same: isDeepStrictEqual,
        logCapacity: 1e6,
      });
      const writers = origins.map((origin) => ({ origin, writer: view.writer(origin) }));
      const rows = writers.map(({ writer }) => writer.ipRows());
      let version = 0;
      for (let step = 0; step < 3000; step++) {
        const at = random.int(origins.length);
        const { origin, writer } = writers[at] as (typeof writers)[number];
        const record = randomRecord(random);
        const prefix = formatPrefix(record.prefix);
        const choice = random.int(10);
        if (choice < 6) {
          oracle.upsert(origin, prefix, record);
          const key = Buffer.from(suffixOfIp(record));
          const value = Buffer.from(encodeIp(record));
          const taken = random.chance(0.7) && rows[at]?.put(key, 0, key.length, value, 0, value.length);
          if (!taken) writer.upsertIp(record);
        } else if (choice < 9) {
          const known = oracle.remove(origin, prefix);
          if (!record.cidr && random.chance(0.5)) {
            const key = Buffer.from(record.prefix.address);
            expect(rows[at]?.delete(key, 0, key.length)).toBe(known);
          } else writer.removeIp(prefix);
        } else if (random.chance(0.02)) {
          for (const key of oracle.claimedBy(origin)) oracle.remove(origin, key);
          rows[at]?.drain();
        }
        if (random.chance(0.05)) {
          const changed = view.changedSince(version);
          expect(changed.complete).toBe(true);
          for (const key of changed.ips) expect([key, view.ipSource(key)]).toEqual([key, winnerOf(oracle, key)]);
          version = changed.version;
        }
      }
      const expected = new Map([...oracle.keys()].map((key) => [key, winnerOf(oracle, key)]));
      const found = new Map([...view.ipSources()].map((source) => [formatPrefix(source.record.prefix), source]));
      expect(found).toEqual(expected);
      expect(new Set(view.ipPrefixes())).toEqual(new Set(expected.keys()));
      expect(view.counts.ips).toBe(expected.size);
      for (const { cluster } of origins) {
        const byKey = (records: Iterable<IpRecord>) =>
          new Map([...records].map((record) => [formatPrefix(record.prefix), record]));
        expect(byKey(view.saidBy(cluster).ips)).toEqual(byKey(oracle.saidBy(cluster)));
      }
      for (const row of view.ipRows()) {
        const { record, origin } = expected.get(formatPrefix(row.prefix)) as { record: IpRecord; origin: unknown };
        const { prefix, hostIp, identity, encryptKey } = record;
        expect(row).toEqual({ prefix, hostIp, identity, encryptKey, origin });
      }
    },
  );

  test.each(['', ',"K8sPodName":"plain"', ',"K8sPodName":"web-7d9f-"', ',"K8sPodName":"web-7d9f-x2x9k"'])(
    'takes nothing that goes on behind its object, after one that was in order (%j)',
    (rest) => {
      const view = createMeshView({ ownCluster: 'east' });
      const rows = view.writer({ cluster: 'west', clusterId: 2 }).ipRows();
      const put = (ip: string, behind = ''): boolean => {
        const key = Buffer.from(ip);
        const text = `{"IP":"${ip}","Mask":null,"HostIP":"","ID":7,"Key":0,"Metadata":"m"${rest}}${behind}`;
        const value = Buffer.from(text);
        return rows.put(key, 0, key.length, value, 0, value.length);
      };
      expect(put('10.0.0.1')).toBe(true);
      for (const behind of ['a', 'abc123', '}', ' ', '"}']) expect(put('10.0.0.2', behind)).toBe(false);
      expect(put('10.0.0.3')).toBe(true);
      expect([...view.ips()].map(({ prefix }) => prefix.address)).toEqual(['10.0.0.1', '10.0.0.3']);
    },
  );

  test('changes what changed, once, and nothing when the same is said again', () => {
    const view = createMeshView({ ownCluster: 'east' });
    const rows = view.writer({ cluster: 'west', clusterId: 2 }).ipRows();
    const put = (ip: string, id: number): void => {
      const key = Buffer.from(ip);
      const value = Buffer.from(`{"IP":"${ip}","Mask":null,"HostIP":"","ID":${id},"Key":0,"Metadata":""}`);
      expect(rows.put(key, 0, key.length, value, 0, value.length)).toBe(true);
    };
    for (let i = 0; i < 1000; i++) put(`10.0.${i >> 8}.${i & 255}`, 7);
    const { version } = view;
    for (let i = 0; i < 1000; i++) put(`10.0.${i >> 8}.${i & 255}`, 7);
    expect(view.version).toBe(version);
    put('10.0.1.1', 8);
    expect(view.changedSince(version)).toMatchObject({ complete: true, ips: ['10.0.1.1/32'] });
  });

  test('sweeps what a listing has not seen, after more listings than a row can count', () => {
    const view = createMeshView({ ownCluster: 'east' });
    const rows = view.writer({ cluster: 'west', clusterId: 2 }).ipRows();
    const put = (ip: string): void => {
      const key = Buffer.from(ip);
      const value = Buffer.from(`{"IP":"${ip}","Mask":null,"HostIP":"","ID":7,"Key":0,"Metadata":""}`);
      rows.put(key, 0, key.length, value, 0, value.length);
    };
    put('10.0.0.1');
    put('10.0.0.2');
    // Listings that are cut short sweep nothing.
    for (let i = 0; i < 600; i++) rows.startListing();
    put('10.0.0.1');
    expect(rows.see('10.0.0.3')).toBe(false);
    expect(rows.sweep()).toBe(1);
    expect([...view.ipPrefixes()]).toEqual(['10.0.0.1/32']);
    expect(rows.sweep()).toBe(0);
    expect(rows.size).toBe(1);
  });
});

function winnerOf(oracle: MergedTable<string, IpRecord>, key: string) {
  const winner = oracle.get(key);
  return winner && { record: winner.record, origin: winner.origin };
}

test('what a scanner has read for one cluster is not taken for what it reads for another one', () => {
  const table = new IpTable('east', new VersionSource(), 16);
  const scanner = new IpScanner();
  const key = Buffer.from('10.0.0.7');
  const value = Buffer.from('{"IP":"10.0.0.7","Mask":null,"HostIP":"172.16.0.1","ID":300,"Key":0,"Metadata":""}');
  for (const cluster of ['west', 'north', 'west']) {
    scanner.scanHead(key, 0, key.length, value, 0, value.length);
    const scope = table.scopeOf({ cluster, clusterId: 2 });
    expect(table.upsertScanned(scope, scanner, value, 300)).toBe(true);
    expect([...table.saidBy(cluster)]).toEqual([decodeIp('10.0.0.7', value)]);
  }
});
