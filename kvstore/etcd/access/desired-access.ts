import type { Role } from '../../auth/index.ts';
import type { EtcdPermission, EtcdRole, EtcdUser } from '../admin.ts';

/** Who may do what in an etcd: its users and its roles, both by name. */
export interface EtcdAccessState {
  readonly users: readonly EtcdUser[];
  readonly roles: readonly EtcdRole[];
}

/** A user as our own stores know it, to be one of an etcd's. */
export interface AccessUser {
  readonly name: string;
  readonly roles: readonly Role[];
}

/**
 * Users and roles of a store of ours as an etcd has them. What narrows a permission key by key (`Permission.only`) is lost: an etcd
 * knows ranges only.
 * @throws {RangeError} where two roles of one name differ
 */
export function etcdAccessOf(users: readonly AccessUser[]): EtcdAccessState {
  const roles = new Map<string, EtcdRole>();
  for (const role of users.flatMap((user) => user.roles)) {
    if (role.root) continue;
    const wanted: EtcdRole = { name: role.name, permissions: role.permissions.map(permissionOf) };
    const known = roles.get(role.name);
    if (known && !samePermissions(known.permissions, wanted.permissions))
      throw new RangeError(`role ${role.name}: means different rights for different users`);
    roles.set(role.name, wanted);
  }
  return {
    users: users.map(({ name, roles: own }) => ({ name, roles: own.map((role) => role.name) })),
    roles: [...roles.values()],
  };
}

/** Whether two permissions are about the same keys: to an etcd they are one, then. */
export function sameRange(a: EtcdPermission, b: EtcdPermission): boolean {
  return Buffer.compare(a.key, b.key) === 0 && Buffer.compare(a.rangeEnd, b.rangeEnd) === 0;
}

function samePermissions(a: readonly EtcdPermission[], b: readonly EtcdPermission[]): boolean {
  const within = (one: EtcdPermission, others: readonly EtcdPermission[]): boolean =>
    others.some((other) => other.access === one.access && sameRange(one, other));
  return a.every((one) => within(one, b)) && b.every((one) => within(one, a));
}

const zero = new Uint8Array([0]);
const nothing = new Uint8Array(0);

function permissionOf({ access, range }: Role['permissions'][number]): EtcdPermission {
  return {
    access: access === 'readwrite' ? 'read-write' : access,
    // An etcd has no empty key: the first one is a zero byte.
    key: range.key.length === 0 ? zero : range.key,
    rangeEnd: range.rangeEnd ?? nothing,
  };
}
