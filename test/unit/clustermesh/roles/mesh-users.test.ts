import { describe, expect, test } from '@jest/globals';
import { assignedPodCidrs, encodeNodeAssignment, meshUsers, nodeAssignmentKey } from '../../../../clustermesh/index.ts';
import { MemoryEngine, Rights, prefixEnd, toBytes } from '../../../../kvstore/index.ts';
import { systemClock } from '../../../../runtime/clock/index.ts';
import { parsePrefix } from '../../../../values/ip/index.ts';

const key = (text: string) => ({ key: toBytes(text) });
const prefix = (text: string) => ({ key: toBytes(text), rangeEnd: prefixEnd(toBytes(text)) });
const everything = { key: new Uint8Array([0]), rangeEnd: new Uint8Array([0]) };
const podCidrs = [parsePrefix('10.1.2.0/26'), parsePrefix('fd00:1::/64')];
const users = meshUsers({
  clusterName: 'east',
  podCidrsOf: async (node) => (node === 'n1' ? podCidrs : []),
});
const rightsOf = (user: string): Rights => new Rights(users.rolesOf(user) ?? []);

/** What a user may read, and what it may write, of all that is asked about here. */
const asked = {
  heartbeat: key('cilium/.heartbeat'),
  'own config': key('cilium/cluster-config/east'),
  'all configs': prefix('cilium/cluster-config/'),
  'own canaries': prefix('cilium/synced/east/'),
  'canaries of west': prefix('cilium/synced/west/'),
  'own state': prefix('cilium/state/'),
  'copies of others': prefix('cilium/cache/'),
  'our records': prefix('isthmus/v1/'),
  'reports on copies': prefix('isthmus/v1/kvstoremesh/remotes/'),
  'own node': key('cilium/state/nodes/v1/east/n1'),
  'another node': key('cilium/state/nodes/v1/east/n2'),
  'a node whose name goes on': key('cilium/state/nodes/v1/east/n1x'),
  'own mark': key('isthmus/v1/own-set/n1'),
  'mark of another': key('isthmus/v1/own-set/n2'),
  'own identities': key('isthmus/v1/held/n1'),
  'own assignment': key('isthmus/v1/nodes/n1'),
  'own pod': key('cilium/state/ip/v1/default/10.1.2.63'),
  'own pod, IPv6': key('cilium/state/ip/v1/default/fd00:1::7'),
  'own hidden pod': key('isthmus/v1/ip/10.1.2.63'),
  'hidden pod beyond the block': key('isthmus/v1/ip/10.1.2.64'),
  'pod beyond the block': key('cilium/state/ip/v1/default/10.1.2.64'),
  'pod in another spelling': key('cilium/state/ip/v1/default/fd00:1:0::7'),
  'a block': key('cilium/state/ip/v1/default/10.1.2.0/28'),
  'no address': key('cilium/state/ip/v1/default/10.1.2'),
  'own pods as a range': prefix('cilium/state/ip/v1/default/10.1.2.1'),
  elsewhere: key('programs/data'),
  everything,
};

async function allowed(rights: Rights, how: 'mayRead' | 'mayWrite'): Promise<string[]> {
  const found: string[] = [];
  for (const [name, range] of Object.entries(asked)) if (await rights[how](range)) found.push(name);
  return found;
}

const mesh = [
  'heartbeat',
  'own config',
  'all configs',
  'own canaries',
  'canaries of west',
  'copies of others',
  'reports on copies',
];
const addresses = [
  'own pod',
  'own pod, IPv6',
  'pod beyond the block',
  'pod in another spelling',
  'a block',
  'no address',
  'own pods as a range',
];
const nodes = ['own node', 'another node', 'a node whose name goes on'];

describe('the users of a cluster', () => {
  test.each([
    { user: 'local', read: mesh },
    { user: 'local-east', read: mesh },
    {
      user: 'remote',
      read: ['heartbeat', 'own config', 'own canaries', 'own state', ...nodes, ...addresses],
    },
    { user: 'remote-west', read: [] },
    { user: 'local-west', read: [] },
    { user: 'admin-west', read: [] },
    { user: 'agent-', read: [] },
    { user: 'agent-a/b', read: [] },
  ])('$user reads what Cilium gives it, and writes nothing', async ({ user, read }) => {
    const rights = rightsOf(user);
    expect((await allowed(rights, 'mayRead')).toSorted()).toEqual([...read].toSorted());
    expect(await allowed(rights, 'mayWrite')).toEqual([]);
    expect(rights.writes).toBe(false);
  });

  test('an agent reads the mesh, and writes what is of its node', async () => {
    const rights = rightsOf('agent-n1');
    const read = Object.keys(asked).filter((name) => !['elsewhere', 'everything'].includes(name));
    expect(await allowed(rights, 'mayRead')).toEqual(read);
    expect(await allowed(rights, 'mayWrite')).toEqual([
      'own node',
      'own mark',
      'own identities',
      'own pod',
      'own pod, IPv6',
      'own hidden pod',
    ]);
    expect(await allowed(rightsOf('agent-n2'), 'mayWrite')).toEqual(['another node', 'mark of another']);
  });

  test('admin may do everything', () => expect(rightsOf('admin-east').root).toBe(true));

  test('the file’s users get the roles they name', async () => {
    const remote = users.roleFor('remote', { name: 'remote-west', role: 'remote' });
    expect(remote && (await allowed(new Rights([remote]), 'mayRead'))).toContain('own state');
    const agent = users.roleFor('agent', { name: 'x', role: 'agent', node: 'n2', podCIDRs: ['10.1.2.64/26'] });
    expect(agent && (await allowed(new Rights([agent]), 'mayWrite'))).toEqual([
      'another node',
      'mark of another',
      'hidden pod beyond the block',
      'pod beyond the block',
    ]);
    expect(users.roleFor('else', { name: 'x', role: 'else' })).toBeUndefined();
  });

  test.each([
    { entry: {}, text: 'node: expected the name of a node' },
    { entry: { node: 'a/b' }, text: 'node: expected the name of a node' },
    { entry: { node: 'n', podCIDRs: '10.0.0.0/8' }, text: 'podCIDRs: expected a list' },
    { entry: { node: 'n', podCIDRs: ['10.0.0.1/8'] }, text: 'podCIDRs[0]: Prefix "10.0.0.1/8" has host bits set' },
    { entry: { nodes: 'n' }, text: 'nodes: means nothing here' },
  ])('an agent of $entry is refused', ({ entry, text }) => {
    expect(() => users.roleFor('agent', { name: 'a', role: 'agent', ...entry })).toThrow(text);
  });

  test('pod CIDRs are those that the store says now', async () => {
    await using engine = new MemoryEngine({ clock: systemClock });
    const podCidrsOf = assignedPodCidrs(engine);
    expect(await podCidrsOf('n1')).toEqual([]);
    const value = encodeNodeAssignment({ node: 'n1', podCidrs, labels: {} });
    await engine.put({ key: toBytes(nodeAssignmentKey('n1')), value: toBytes(value) });
    expect(await podCidrsOf('n1')).toEqual(podCidrs);
    expect(await podCidrsOf('n2')).toEqual([]);
    await engine.put({ key: toBytes(nodeAssignmentKey('n1')), value: toBytes('{') });
    expect(await podCidrsOf('n1')).toEqual([]);
  });
});
