import { type AccessUser, type AuthFile, type Role, rootRole } from '../../kvstore/index.ts';
import { isAgentUser, meshUsers } from './mesh-users.ts';

export interface EtcdUsersOptions {
  readonly clusterName: string;
  /** Nodes whose agents are users. */
  readonly nodes: readonly string[];
  /** Other clusters and whoever else stands in a users file. */
  readonly file?: AuthFile | undefined;
}

/**
 * The users of a cluster's store for an etcd that serves it: those that are there by themselves in a store of ours
 * ({@link meshUsers}), the agents of nodes, and those of the users file.
 * @throws {RangeError} for an entry of the file that names a role that is not there
 */
export function etcdUsers({ clusterName, nodes, file }: EtcdUsersOptions): AccessUser[] {
  const builtIn = meshUsers({ clusterName, podCidrsOf: async () => [] });
  const users = new Map<string, readonly Role[]>([['root', [rootRole]]]);
  for (const name of [`admin-${clusterName}`, `local-${clusterName}`, 'local', 'remote', ...nodes.map(agentUser)]) {
    const roles = builtIn.rolesOf(name);
    if (!roles) throw new RangeError(`${JSON.stringify(name)}: expected the name of a node behind agent-`);
    users.set(name, roles);
  }
  for (const { name, roles, entry } of file?.users ?? [])
    users.set(
      name,
      roles.map((role) => {
        if (role === rootRole.name) return rootRole;
        const found = file?.roles.find((one) => one.name === role) ?? builtIn.roleFor(role, entry);
        if (found) return found;
        throw new RangeError(`users: ${JSON.stringify(name)}: there is no role ${JSON.stringify(role)}`);
      }),
    );
  // An agent's rights name its node, so each has a role of its own.
  return [...users].map(([name, roles]) => ({
    name,
    roles: roles.map((role) => (role.name === 'agent' ? { ...role, name } : role)),
  }));
}

/**
 * Whether a user of an etcd is one that only we make, so that it goes once nobody stands behind it: a remote cluster
 * (`remote-<X>`), or the agent of a node.
 */
export function isMeshUser(user: string, roles: readonly string[]): boolean {
  if (user.startsWith('remote-')) return roles.every((role) => role === 'remote');
  return isAgentUser(user) && roles.every((role) => role === user);
}

/** What an etcd cannot do with these users that a store of ours does: sentences for people. */
export function etcdShortcomings({ nodes, file }: Pick<EtcdUsersOptions, 'nodes' | 'file'>): string[] {
  const authorities = file?.authorities ?? [];
  const pinned = file?.users.filter(({ certificates }) => certificates !== undefined) ?? [];
  return [
    ...(authorities.length === 0
      ? []
      : [
          `certificates of ${authorities.map((one) => one.file).join(', ')} must not be trusted by the etcd itself: they could name any user, admin too; let these clusters read the mirror (--mirror-listen)`,
        ]),
    ...(pinned.length === 0 && (file?.revoked.size ?? 0) === 0
      ? []
      : [
          'etcd looks at no fingerprint: a certificate that was taken back is good until it expires, unless its user is deleted; watches that are open go on',
        ]),
    ...(nodes.length === 0
      ? []
      : ['an agent may write every address, not only those of its pod CIDRs: etcd grants ranges of keys']),
  ];
}

function agentUser(node: string): string {
  return `agent-${node}`;
}
