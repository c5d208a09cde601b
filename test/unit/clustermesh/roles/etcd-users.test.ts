import { describe, expect, test } from '@jest/globals';
import { etcdShortcomings, etcdUsers, isMeshUser } from '../../../../clustermesh/index.ts';
import { parseAuthFile } from '../../../../kvstore/auth/auth-file.ts';
import { Rights, prefixEnd, toBytes } from '../../../../kvstore/index.ts';

const file = parseAuthFile(
  `
authorities: [{file: north.crt, user: remote-north}]
users:
- {name: remote-west, role: remote, certificates: ["${'AB:'.repeat(31)}CD"]}
- {name: remote-north, role: remote}
- {name: backup, roles: [reader]}
- {name: edge-7, role: agent, node: edge-7}
roles:
- {name: reader, permissions: [{access: read, prefix: cilium/}]}
`,
  'users.yaml',
);
const users = etcdUsers({ clusterName: 'east', nodes: ['n1'], file });
const rolesOf = (name: string) => users.find((user) => user.name === name)?.roles ?? [];
const prefix = (text: string) => ({ key: toBytes(text), rangeEnd: prefixEnd(toBytes(text)) });

describe('The users of a cluster’s etcd', () => {
  test('are those of the mesh, of its nodes, and of the file', () => {
    expect(Object.fromEntries(users.map(({ name, roles }) => [name, roles.map((role) => role.name)]))).toEqual({
      root: ['root'],
      'admin-east': ['root'],
      'local-east': ['local'],
      local: ['local'],
      remote: ['remote'],
      'agent-n1': ['agent-n1'],
      'remote-west': ['remote'],
      'remote-north': ['remote'],
      backup: ['reader'],
      'edge-7': ['edge-7'],
    });
  });

  test('have the rights that a store of ours gives them', async () => {
    const west = new Rights(rolesOf('remote-west'));
    expect(await west.mayRead(prefix('cilium/state/'))).toBe(true);
    expect(await west.mayRead(prefix('isthmus/v1/'))).toBe(false);
    expect(west.writes).toBe(false);
    const agent = new Rights(rolesOf('agent-n1'));
    expect(await agent.mayWrite({ key: toBytes('cilium/state/nodes/v1/east/n1') })).toBe(true);
    expect(await agent.mayWrite({ key: toBytes('cilium/state/nodes/v1/east/n2') })).toBe(false);
  });

  test('are refused where the file names a role that is not there', () => {
    const wrong = parseAuthFile('users: [{name: x, role: emperor}]', 'users.yaml');
    expect(() => etcdUsers({ clusterName: 'east', nodes: [], file: wrong })).toThrow(
      'users: "x": there is no role "emperor"',
    );
    expect(() => etcdUsers({ clusterName: 'east', nodes: ['a/b'] })).toThrow('expected the name of a node');
  });

  test('are told apart from others: only what we make goes by itself', () => {
    expect(isMeshUser('remote-west', ['remote'])).toBe(true);
    expect(isMeshUser('agent-n1', ['agent-n1'])).toBe(true);
    expect(isMeshUser('remote-hands', ['operators'])).toBe(false);
    expect(isMeshUser('agent-smith', ['operators'])).toBe(false);
    expect(isMeshUser('backup', ['reader'])).toBe(false);
    expect(isMeshUser('remote', ['remote'])).toBe(false);
  });

  test('come with what an etcd cannot do', () => {
    expect(etcdShortcomings({ nodes: ['n1'], file })).toEqual([
      expect.stringContaining('north.crt must not be trusted by the etcd itself'),
      expect.stringContaining('etcd looks at no fingerprint'),
      expect.stringContaining('an agent may write every address'),
    ]);
    expect(etcdShortcomings({ nodes: [] })).toEqual([]);
  });
});
