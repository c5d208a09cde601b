import {
  type BuiltInUsers,
  type Permission,
  type Role,
  permitKey,
  permitPrefix,
  rootRole,
} from '../../kvstore/index.ts';
import { type IpAddress, type Prefix, containsIp, parseIp, parsePrefix } from '../../values/ip/index.ts';
import {
  basePrefix,
  cachePrefix,
  clusterConfigKey,
  clusterConfigPrefix,
  copierPrefix,
  heartbeatKey,
  heldNumbersKey,
  hiddenIpPrefix,
  ipKey,
  nodeKey,
  ownPrefix,
  ownSetKey,
  statePrefix,
  syncedPrefix,
} from '../wire/index.ts';

export interface MeshUsersOptions {
  readonly clusterName: string;
  /** The pod CIDRs assigned to a node, as they are now. */
  readonly podCidrsOf: (node: string) => Promise<readonly Prefix[]>;
}

/** What comes before the node's name in the name of its agent's user. */
const agentPrefix = 'agent-';

/**
 * The users of a cluster's store, as Cilium names them (kvstore-schema §13), and one for each agent of ours:
 * `admin-<C>` (everything), `local-<C>` and `local`, `remote`, and `agent-<node>`. Users of single remote clusters,
 * `remote-<X>`, come from the users file, with the role `remote`.
 */
export function meshUsers({ clusterName, podCidrsOf }: MeshUsersOptions): BuiltInUsers {
  const local: Role = { name: 'local', permissions: localPermissions() };
  const remote: Role = { name: 'remote', permissions: remotePermissions(clusterName) };
  const agent = (node: string, podCidrs: () => Promise<readonly Prefix[]>): Role => ({
    name: 'agent',
    permissions: [...meshPermissions(), ...agentPermissions(clusterName, node, podCidrs)],
  });
  return {
    rolesOf(user) {
      if (user === `admin-${clusterName}`) return [rootRole];
      if (user === 'local' || user === `local-${clusterName}`) return [local];
      if (user === 'remote') return [remote];
      const node = user.startsWith(agentPrefix) ? user.slice(agentPrefix.length) : '';
      return isSegment(node) ? [agent(node, () => podCidrsOf(node))] : undefined;
    },
    roleFor(role, entry) {
      const known = ['name', 'role', 'roles', 'certificates', 'node', 'podCIDRs'];
      const more = Object.keys(entry).find((field) => !known.includes(field));
      if (more !== undefined) throw new RangeError(`${more}: means nothing here; expected node or podCIDRs`);
      if (role === 'local') return local;
      if (role === 'remote') return remote;
      if (role !== 'agent') return undefined;
      const node = entry['node'];
      if (typeof node !== 'string' || !isSegment(node)) throw new RangeError('node: expected the name of a node');
      const fixed = entry['podCIDRs'] === undefined ? undefined : prefixesOf(entry['podCIDRs']);
      return agent(node, fixed ? () => Promise.resolve(fixed) : () => podCidrsOf(node));
    },
  };
}

/** Whether that is the name of an agent's user. */
export function isAgentUser(user: string): boolean {
  return user.startsWith(agentPrefix) && isSegment(user.slice(agentPrefix.length));
}

/** What the own cluster's agents and operator read of others, as kvstoremesh has copied it, and what it says of its copies. */
function localPermissions(): readonly Permission[] {
  return [
    permitPrefix('read', heartbeatKey),
    permitPrefix('read', `${cachePrefix}/`),
    permitPrefix('read', clusterConfigPrefix),
    permitPrefix('read', `${basePrefix}/synced/`),
    permitPrefix('read', copierPrefix),
  ];
}

/** What any remote cluster reads. Nothing of our own records: they are this cluster's business. */
function remotePermissions(cluster: string): readonly Permission[] {
  return [
    permitPrefix('read', heartbeatKey),
    permitPrefix('read', `${statePrefix}/`),
    permitKey('read', clusterConfigKey(cluster)),
    permitPrefix('read', syncedPrefix(cluster)),
  ];
}

function meshPermissions(): readonly Permission[] {
  return [...localPermissions(), permitPrefix('read', `${statePrefix}/`), permitPrefix('read', ownPrefix)];
}

/** An agent writes what is its node's, and nothing else. */
function agentPermissions(
  cluster: string,
  node: string,
  podCidrs: () => Promise<readonly Prefix[]>,
): readonly Permission[] {
  const addressesUnder = (prefix: string): Permission => ({
    ...permitPrefix('write', prefix),
    only: async (key) => {
      const address = addressIn(key, prefix);
      return address !== undefined && (await podCidrs()).some((cidr) => containsIp(cidr, address));
    },
  });
  return [
    permitKey('write', nodeKey(cluster, node)),
    permitKey('write', ownSetKey(node)),
    permitKey('write', heldNumbersKey(node)),
    addressesUnder(ipKey('')),
    addressesUnder(hiddenIpPrefix),
  ];
}

/** The address of an address key; only its canonical text counts, or one address could have several keys. */
function addressIn(key: Uint8Array, prefix: string): IpAddress | undefined {
  const text = Buffer.from(key).toString('latin1').slice(prefix.length);
  try {
    return parseIp(text) === text ? text : undefined;
  } catch {
    return undefined;
  }
}

function prefixesOf(value: unknown): readonly Prefix[] {
  if (!Array.isArray(value)) throw new RangeError('podCIDRs: expected a list of address prefixes');
  return value.map((text: unknown, i) => {
    try {
      return parsePrefix(String(text));
    } catch (error) {
      throw new RangeError(`podCIDRs[${i}]: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      });
    }
  });
}

/** A node's name is one part of a key. */
function isSegment(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.includes('/');
}
