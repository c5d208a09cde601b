import { describe, expect, test } from '@jest/globals';
import { type IpRecord, type MeshView, createMeshView } from '../../../../clustermesh/index.ts';
import { hostPrefix } from '../../../../values/ip/index.ts';
import { Random } from '../../../../runtime/random/index.ts';

const clusters = ['east', 'west', 'north'] as const;
type Cluster = (typeof clusters)[number];

function ipRecord(ip: string, hostIp: string, changes: Partial<IpRecord> = {}): IpRecord {
  return {
    prefix: hostPrefix(ip),
    cidr: false,
    hostIp,
    identity: 65_537,
    encryptKey: 0,
    metadata: '',
    namespace: 'shop',
    podName: 'web-0',
    serviceAccount: 'default',
    namedPorts: [{ name: 'http', port: 80, protocol: 'TCP' }],
    ...changes,
  };
}

function open(logCapacity?: number): {
  readonly view: MeshView;
  readonly of: (cluster: Cluster) => ReturnType<MeshView['writer']>;
} {
  const view = createMeshView({ ownCluster: 'east', ...(logCapacity === undefined ? {} : { logCapacity }) });
  return { view, of: (cluster) => view.writer({ cluster, clusterId: clusters.indexOf(cluster) + 1 }) };
}

const at = (view: MeshView, prefix = '10.0.0.1/32'): string | undefined => view.ipSource(prefix)?.origin.cluster;

describe('the mesh view', () => {
  test('lets the own cluster win, and otherwise the last writer', () => {
    const { view, of } = open();
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    expect(at(view)).toBe('west');
    of('north').upsertIp(ipRecord('10.0.0.1', 'n'));
    expect(at(view)).toBe('north');
    of('east').upsertIp(ipRecord('10.0.0.1', 'e'));
    expect(at(view)).toBe('east');
    of('west').upsertIp(ipRecord('10.0.0.1', 'w2'));
    expect(at(view)).toBe('east');
  });

  test('puts the next known in the place of a winner that is withdrawn', () => {
    const { view, of } = open();
    of('east').upsertIp(ipRecord('10.0.0.1', 'e'));
    of('north').upsertIp(ipRecord('10.0.0.1', 'n'));
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    of('east').removeIp('10.0.0.1/32');
    expect(at(view)).toBe('west');
    of('west').removeIp('10.0.0.1/32');
    expect(at(view)).toBe('north');
    of('north').removeIp('10.0.0.1/32');
    expect(at(view)).toBeUndefined();
  });

  test('does not let one cluster withdraw what another says', () => {
    const { view, of } = open();
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    of('north').removeIp('10.0.0.1/32');
    expect(at(view)).toBe('west');
  });

  test('does not take a repetition for a change, nor for a newer word than that of another cluster', () => {
    const { view, of } = open();
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    of('north').upsertIp(ipRecord('10.0.0.1', 'n'));
    const { version } = view;
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    of('north').upsertIp(ipRecord('10.0.0.1', 'n'));
    expect(view.version).toBe(version);
    expect(at(view)).toBe('north');
  });

  test('says what changed since a version, gone keys included, each once', () => {
    const { view, of } = open();
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    of('west').upsertIp(ipRecord('10.0.0.2', 'w'));
    const first = view.changedSince(0);
    expect(first).toEqual({
      version: 2,
      complete: true,
      ips: ['10.0.0.1/32', '10.0.0.2/32'],
      nodes: [],
      identities: [],
    });
    of('west').upsertIp(ipRecord('10.0.0.2', 'w', { identity: 7 }));
    of('west').upsertIp(ipRecord('10.0.0.2', 'w', { identity: 8 }));
    of('west').removeIp('10.0.0.1/32');
    of('west').upsertIdentity({ id: 131_073, labels: [] });
    expect(view.changedSince(first.version)).toEqual({
      version: 6,
      complete: true,
      ips: ['10.0.0.2/32', '10.0.0.1/32'],
      nodes: [],
      identities: [131_073],
    });
    expect(view.changedSince(view.version)).toMatchObject({ ips: [], identities: [] });
  });

  test('admits when a version is too old to tell what changed', () => {
    const { view, of } = open(10);
    for (let i = 0; i < 100; i++) of('west').upsertIp(ipRecord(`10.0.1.${i}`, 'w'));
    expect(view.changedSince(0).complete).toBe(false);
    expect(view.changedSince(95)).toMatchObject({ complete: true, version: 100 });
    expect(view.changedSince(95).ips).toHaveLength(5);
  });

  test('wakes who waits for a change, and lets go who no longer wants to', async () => {
    const { view, of } = open();
    const controller = new AbortController();
    const changed = view.changed(0, controller.signal);
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    await changed;
    const waiting = view.changed(view.version, controller.signal);
    controller.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
  });

  test('forgets all that a drained cluster said, and nothing else', () => {
    const { view, of } = open();
    of('west').upsertIp(ipRecord('10.0.0.1', 'w'));
    of('west').upsertIp(ipRecord('10.0.0.2', 'w'));
    of('north').upsertIp(ipRecord('10.0.0.2', 'n'));
    of('east').upsertIp(ipRecord('10.0.0.3', 'e'));
    of('west').upsertIp(ipRecord('10.0.0.3', 'w'));
    of('west').upsertIdentity({ id: 131_073, labels: [] });
    of('west').drain();
    expect([...view.ipSources()].map(({ record, origin }) => `${record.prefix.address} ${origin.cluster}`)).toEqual([
      '10.0.0.2 north',
      '10.0.0.3 east',
    ]);
    expect(view.counts).toEqual({ nodes: 0, ips: 2, identities: 0 });
    of('east').removeIp('10.0.0.3/32');
    expect(at(view, '10.0.0.3/32')).toBeUndefined();
  });

  test('comes to the same end however the clusters’ events are mixed, split and repeated', () => {
    const random = new Random(7);
    // One story a cluster; only the order between clusters is free. Own and one remote cluster claim each address.
    const stories = (['east', 'west'] as const).map((cluster) =>
      Array.from({ length: 200 }, () => {
        const ip = `10.0.0.${random.int(20)}`;
        const remove = random.next() < 0.3;
        const record = ipRecord(ip, cluster, { identity: random.int(4) });
        return (view: ReturnType<typeof open>): void => {
          if (remove) view.of(cluster).removeIp(`${ip}/32`);
          else view.of(cluster).upsertIp(record);
        };
      }),
    );
    const end = (seed: number, repeat: boolean): string[] => {
      const mesh = open();
      const next = new Random(seed);
      const left = stories.map((story) => [...story]);
      while (left.some((story) => story.length > 0)) {
        const story = left[next.int(left.length)];
        const event = story?.shift();
        event?.(mesh);
        if (repeat) event?.(mesh);
      }
      return [...mesh.view.ipSources()]
        .map(({ record, origin }) => `${record.prefix.address} ${origin.cluster} ${record.identity}`)
        .toSorted();
    };
    const expected = end(1, false);
    for (let seed = 2; seed < 30; seed++) expect(end(seed, seed % 2 === 0)).toEqual(expected);
  });
});
