import type { EtcdAdmin, EtcdPermission } from '../admin.ts';
import { type EtcdAccessState, sameRange } from './desired-access.ts';

/** One change of who may do what in an etcd. */
export type AccessStep =
  | { readonly action: 'add-role' | 'delete-role'; readonly role: string }
  | { readonly action: 'grant' | 'revoke'; readonly role: string; readonly permission: EtcdPermission }
  | { readonly action: 'add-user' | 'delete-user'; readonly user: string }
  | { readonly action: 'grant-role' | 'revoke-role'; readonly user: string; readonly role: string };

/** etcd's own role: everything. */
const root = 'root';

/**
 * What turns an etcd's users and roles into what is desired, in an order in which nobody has more than before and after. Roles that
 * are desired get exactly their permissions, users exactly their roles, but who has the role `root` loses nothing. Others stay as
 * they are, unless `prune` says of a user that it is to go; roles that were only his go with him.
 */
export function accessSteps(
  desired: EtcdAccessState,
  actual: EtcdAccessState,
  prune: (user: string, roles: readonly string[]) => boolean = () => false,
): AccessStep[] {
  const leaving = actual.users.filter(
    ({ name, roles }) =>
      !desired.users.some((user) => user.name === name) && !roles.includes(root) && prune(name, roles),
  );
  const staying = actual.users.filter((user) => !leaving.includes(user));
  const needed = new Set([root, ...desired.roles.map(({ name }) => name), ...staying.flatMap(({ roles }) => roles)]);
  const goneRoles = new Set(leaving.flatMap(({ roles }) => roles).filter((name) => !needed.has(name)));
  return [
    ...leaving.map(({ name }): AccessStep => ({ action: 'delete-user', user: name })),
    ...[...goneRoles]
      .filter((name) => actual.roles.some((role) => role.name === name))
      .map((role): AccessStep => ({ action: 'delete-role', role })),
    ...desired.roles.flatMap((role) => roleSteps(role, actual)),
    ...desired.users.flatMap((user) => userSteps(user, actual)),
  ];
}

function roleSteps(
  { name, permissions }: EtcdAccessState['roles'][number],
  { roles }: EtcdAccessState,
): readonly AccessStep[] {
  const known = roles.find((role) => role.name === name);
  const before = known?.permissions ?? [];
  const surplus = before.filter((one) => !permissions.some((wanted) => sameRange(one, wanted)));
  const missing = permissions.filter(
    (wanted) => !before.some((one) => sameRange(one, wanted) && one.access === wanted.access),
  );
  return [
    ...(known ? [] : [{ action: 'add-role', role: name } as const]),
    ...surplus.map((permission): AccessStep => ({ action: 'revoke', role: name, permission })),
    ...missing.map((permission): AccessStep => ({ action: 'grant', role: name, permission })),
  ];
}

function userSteps(
  { name, roles }: EtcdAccessState['users'][number],
  { users }: EtcdAccessState,
): readonly AccessStep[] {
  const known = users.find((user) => user.name === name);
  const before = known?.roles ?? [];
  const surplus = before.includes(root) ? [] : before.filter((role) => !roles.includes(role));
  return [
    ...(known ? [] : [{ action: 'add-user', user: name } as const]),
    ...surplus.map((role): AccessStep => ({ action: 'revoke-role', user: name, role })),
    ...roles
      .filter((role) => !before.includes(role))
      .map((role): AccessStep => ({ action: 'grant-role', user: name, role })),
  ];
}

/** Takes one step. Users get no password: they are whom the common name of a certificate says. */
export async function takeAccessStep(admin: EtcdAdmin, step: AccessStep): Promise<void> {
  switch (step.action) {
    case 'add-role':
      return await admin.addRole(step.role);
    case 'delete-role':
      return await admin.deleteRole(step.role);
    case 'grant':
      return await admin.grant(step.role, step.permission);
    case 'revoke':
      return await admin.revoke(step.role, step.permission);
    case 'add-user':
      return await admin.addUser(step.user);
    case 'delete-user':
      return await admin.deleteUser(step.user);
    case 'grant-role':
      return await admin.grantRole(step.user, step.role);
    case 'revoke-role':
      return await admin.revokeRole(step.user, step.role);
  }
}
