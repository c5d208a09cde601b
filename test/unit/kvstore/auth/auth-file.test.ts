import { describe, expect, test } from '@jest/globals';
import { parseAuthFile } from '../../../../kvstore/auth/auth-file.ts';
import { permitKey, permitPrefix, permitRange } from '../../../../kvstore/auth/index.ts';

const fingerprint = 'ab'.repeat(32);

describe('a file of users', () => {
  test('says who there is, what they may do, and whom each authority may name', () => {
    const text = `
authorities:
- file: west.crt
  user: remote-west
  crl-file: west.crl
- {file: ops.crt, users: [admin, backup]}
- {file: own.crt, users: "*"}
users:
- {name: remote-west, role: remote}
- {name: app, roles: [app, remote], }
- {name: special, role: agent, node: n1}
roles:
- name: app
  permissions:
  - {access: readwrite, prefix: app/}
  - {access: read, key: config}
  - {access: write, from: a, to: b}
revoked: ["${fingerprint}"]
`;
    const file = parseAuthFile(text, 'users.yaml');
    expect(file.authorities).toEqual([
      { file: 'west.crt', crlFile: 'west.crl', naming: { kind: 'fixed', user: 'remote-west' } },
      { file: 'ops.crt', crlFile: undefined, naming: { kind: 'listed', users: new Set(['admin', 'backup']) } },
      { file: 'own.crt', crlFile: undefined, naming: { kind: 'any' } },
    ]);
    expect(file.users.map(({ name, roles }) => [name, ...roles])).toEqual([
      ['remote-west', 'remote'],
      ['app', 'app', 'remote'],
      ['special', 'agent'],
    ]);
    expect(file.users[2]?.entry).toMatchObject({ node: 'n1' });
    expect(file.roles).toEqual([
      {
        name: 'app',
        permissions: [permitPrefix('readwrite', 'app/'), permitKey('read', 'config'), permitRange('write', 'a', 'b')],
      },
    ]);
    expect([...file.revoked]).toEqual([Array.from({ length: 32 }, () => 'AB').join(':')]);
  });

  test('may be one of Cilium’s, or empty', () => {
    const { users } = parseAuthFile('users:\n- name: remote-cluster1\n  role: remote\n', 'users.yaml');
    expect(users).toEqual([
      { name: 'remote-cluster1', roles: ['remote'], entry: { name: 'remote-cluster1', role: 'remote' } },
    ]);
    expect(parseAuthFile('{}', 'users.yaml')).toMatchObject({ users: [], authorities: [] });
    expect(() => parseAuthFile('# to be written\n', 'users.yaml')).toThrow('users.yaml: is empty: expected a mapping');
  });

  test.each([
    { text: '- a', problem: /^f.yaml: expected a mapping/ },
    { text: 'a: [', problem: /^f.yaml: not YAML: / },
    { text: 'uzers: []', problem: 'f.yaml: uzers: means nothing here; expected authorities, users, roles, revoked' },
    { text: 'users: {}', problem: 'f.yaml: users: expected a list' },
    { text: 'users: [x]', problem: 'f.yaml: users[0]: expected a mapping' },
    { text: 'users: [{role: r}]', problem: 'f.yaml: users[0].name: expected a text' },
    { text: 'users: [{name: a}]', problem: 'f.yaml: users[0].role: expected the name of a role' },
    { text: 'users: [{name: a, role: r, roles: [s]}]', problem: 'f.yaml: users[0].roles: stands beside role' },
    { text: 'users: [{name: a, role: r}, {name: a, role: s}]', problem: 'f.yaml: users: "a" stands there twice' },
    { text: 'authorities: [{file: a}]', problem: /^f.yaml: authorities\[0\].user: expected either user / },
    {
      text: 'authorities: [{file: a, user: b, users: [c]}]',
      problem: /^f.yaml: authorities\[0\].user: expected either/,
    },
    { text: 'authorities: [{user: b}]', problem: 'f.yaml: authorities[0].file: expected a text' },
    {
      text: 'roles: [{name: r, permissions: [{access: all, key: a}]}]',
      problem: /permissions\[0\].access: expected read/,
    },
    { text: 'roles: [{name: r, permissions: [{access: read}]}]', problem: /permissions\[0\].key: expected one of/ },
    { text: 'roles: [{name: r, permissions: [{access: read, key: a, prefix: b}]}]', problem: /expected one of/ },
    { text: 'roles: [{name: r, permissions: [{access: read, from: a}]}]', problem: /permissions\[0\].to: expected/ },
    { text: 'revoked: [12]', problem: 'f.yaml: revoked[0]: expected a text' },
    { text: 'revoked: ["12"]', problem: /^f.yaml: revoked\[0\]: expected a SHA-256/ },
  ])('is refused for $text', ({ text, problem }) => {
    expect(() => parseAuthFile(text, 'f.yaml')).toThrow(problem);
  });
});
