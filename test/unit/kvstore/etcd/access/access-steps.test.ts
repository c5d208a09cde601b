import { describe, expect, test } from '@jest/globals';
import {
  type EtcdAccessState,
  type Role,
  accessSteps,
  etcdAccessOf,
  etcdctlCommand,
  permitKey,
  permitPrefix,
  rootRole,
} from '../../../../../kvstore/index.ts';

const remote: Role = {
  name: 'remote',
  permissions: [permitPrefix('read', 'cilium/state/'), permitKey('read', 'cilium/cluster-config/east')],
};
const desired = etcdAccessOf([
  { name: 'root', roles: [rootRole] },
  { name: 'remote-west', roles: [remote] },
]);
const nothing: EtcdAccessState = { users: [], roles: [{ name: 'root', permissions: [] }] };

/** What an etcd holds after the steps. */
function after(state: EtcdAccessState, steps: ReturnType<typeof accessSteps>): EtcdAccessState {
  let users = [...state.users];
  let roles = [...state.roles];
  const inUser = (name: string, change: (roles: readonly string[]) => readonly string[]): void => {
    users = users.map((user) => (user.name === name ? { name, roles: change(user.roles) } : user));
  };
  const inRole = (
    name: string,
    change: (given: EtcdAccessState['roles'][number]['permissions']) => EtcdAccessState['roles'][number]['permissions'],
  ): void => {
    roles = roles.map((role) => (role.name === name ? { name, permissions: change(role.permissions) } : role));
  };
  const differs = (a: { key: Uint8Array; rangeEnd: Uint8Array }, b: { key: Uint8Array; rangeEnd: Uint8Array }) =>
    Buffer.compare(a.key, b.key) !== 0 || Buffer.compare(a.rangeEnd, b.rangeEnd) !== 0;
  for (const step of steps)
    switch (step.action) {
      case 'add-role':
        roles.push({ name: step.role, permissions: [] });
        break;
      case 'delete-role':
        roles = roles.filter(({ name }) => name !== step.role);
        break;
      case 'grant':
        inRole(step.role, (given) => [...given.filter((one) => differs(one, step.permission)), step.permission]);
        break;
      case 'revoke':
        inRole(step.role, (given) => given.filter((one) => differs(one, step.permission)));
        break;
      case 'add-user':
        users.push({ name: step.user, roles: [] });
        break;
      case 'delete-user':
        users = users.filter(({ name }) => name !== step.user);
        break;
      case 'grant-role':
        inUser(step.user, (own) => [...own, step.role]);
        break;
      case 'revoke-role':
        inUser(step.user, (own) => own.filter((role) => role !== step.role));
    }
  return { users, roles };
}

describe('The steps to the users of an etcd', () => {
  test('make everything where nothing is, as etcdctl would', () => {
    expect(accessSteps(desired, nothing).map(etcdctlCommand)).toEqual([
      'etcdctl role add remote',
      'etcdctl role grant-permission remote read cilium/state/ cilium/state0',
      'etcdctl role grant-permission remote read cilium/cluster-config/east',
      'etcdctl user add root --no-password',
      'etcdctl user grant-role root root',
      'etcdctl user add remote-west --no-password',
      'etcdctl user grant-role remote-west remote',
    ]);
  });

  test('are none where all is right', () => {
    expect(accessSteps(desired, after(nothing, accessSteps(desired, nothing)))).toEqual([]);
  });

  test('lead to the desired rights from any that are there, and only to these', () => {
    const wider: EtcdAccessState = {
      users: [
        { name: 'root', roles: ['root'] },
        { name: 'remote-west', roles: ['remote', 'ops'] },
        { name: 'backup', roles: ['ops'] },
      ],
      roles: [
        { name: 'root', permissions: [] },
        { name: 'ops', permissions: [] },
        {
          name: 'remote',
          permissions: etcdAccessOf([
            {
              name: 'x',
              roles: [
                {
                  name: 'remote',
                  permissions: [permitPrefix('readwrite', 'cilium/state/'), permitPrefix('read', '')],
                },
              ],
            },
          ]).roles.flatMap(({ permissions }) => permissions),
        },
      ],
    };
    const steps = accessSteps(desired, wider);
    expect(steps.map(etcdctlCommand)).toEqual([
      "etcdctl role revoke-permission remote '' --from-key",
      'etcdctl role grant-permission remote read cilium/state/ cilium/state0',
      'etcdctl role grant-permission remote read cilium/cluster-config/east',
      'etcdctl user revoke-role remote-west ops',
    ]);
    expect(accessSteps(desired, after(wider, steps))).toEqual([]);
  });

  test('take nothing away from who has every right, and leave strangers alone', () => {
    const state = after(nothing, accessSteps(desired, nothing));
    const more: EtcdAccessState = {
      users: [
        ...state.users.filter(({ name }) => name !== 'root'),
        { name: 'root', roles: ['root', 'ops'] },
        { name: 'ops', roles: [] },
      ],
      roles: [...state.roles, { name: 'ops', permissions: [] }],
    };
    expect(accessSteps(desired, more)).toEqual([]);
  });

  test('delete who is to go before anything is granted, with the roles that were only his', () => {
    const state = after(nothing, accessSteps(desired, nothing));
    const old: EtcdAccessState = {
      users: [
        ...state.users,
        { name: 'agent-n9', roles: ['agent-n9'] },
        { name: 'remote-north', roles: ['remote'] },
        { name: 'remote-root', roles: ['root'] },
      ],
      roles: [...state.roles, { name: 'agent-n9', permissions: [] }],
    };
    const steps = accessSteps(desired, old, () => true);
    expect(steps).toEqual([
      { action: 'delete-user', user: 'agent-n9' },
      { action: 'delete-user', user: 'remote-north' },
      { action: 'delete-role', role: 'agent-n9' },
    ]);
  });

  test('are refused where one role would mean two things', () => {
    expect(() =>
      etcdAccessOf([
        { name: 'a', roles: [remote] },
        { name: 'b', roles: [{ name: 'remote', permissions: [permitPrefix('read', 'cilium/')] }] },
      ]),
    ).toThrow('role remote: means different rights for different users');
  });

  test('quote what a shell would understand otherwise', () => {
    expect(etcdctlCommand({ action: 'add-user', user: "o'brien & co" })).toBe(
      String.raw`etcdctl user add 'o'\''brien & co' --no-password`,
    );
  });
});
