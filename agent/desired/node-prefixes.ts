import { type Prefix, formatPrefix, hostPrefix } from '../../values/ip/index.ts';
import type { NodeRecord } from '../../clustermesh/index.ts';
import { type OwnNode, ownNodeKey } from './own-node.ts';

/** What a prefix is to a node that announces it. */
export type NodeRole = 'address' | 'health' | 'ingress' | 'pod-cidr';

export interface NodePrefix {
  readonly prefix: Prefix;
  readonly role: NodeRole;
  readonly node: NodeRecord;
}

/** Every prefix that a node stands behind; each once, in its strongest role. */
export function prefixesOf(node: NodeRecord): readonly NodePrefix[] {
  const found = new Map<string, NodePrefix>();
  const add = (role: NodeRole, prefix: Prefix): void => {
    const text = formatPrefix(prefix);
    if (!found.has(text)) found.set(text, { prefix, role, node });
  };
  for (const { ip } of node.addresses) add('address', hostPrefix(ip));
  for (const ip of node.healthIps) add('health', hostPrefix(ip));
  for (const ip of node.ingressIps) add('ingress', hostPrefix(ip));
  for (const prefix of node.podCidrs) add('pod-cidr', prefix);
  return [...found.values()];
}

/**
 * Which node stands behind a prefix. Several may claim one: our own node wins, then nodes of our cluster, then the first
 * by cluster and name, so that the answer does not depend on who came last.
 */
export class NodePrefixes {
  readonly #own: OwnNode;
  readonly #byNode = new Map<string, readonly NodePrefix[]>();
  readonly #claims = new Map<string, Map<string, NodePrefix>>();

  constructor(own: OwnNode) {
    this.#own = own;
  }

  /** Takes over a node's present state, undefined when it has gone. Returns the prefixes to look at again. */
  set(nodeKey: string, node: NodeRecord | undefined): string[] {
    const touched = new Set<string>();
    for (const { prefix } of this.#byNode.get(nodeKey) ?? []) {
      const text = formatPrefix(prefix);
      touched.add(text);
      const claims = this.#claims.get(text);
      claims?.delete(nodeKey);
      if (claims?.size === 0) this.#claims.delete(text);
    }
    if (!node) {
      this.#byNode.delete(nodeKey);
      return [...touched];
    }
    const prefixes = prefixesOf(node);
    this.#byNode.set(nodeKey, prefixes);
    for (const claim of prefixes) {
      const text = formatPrefix(claim.prefix);
      touched.add(text);
      const claims = this.#claims.get(text) ?? new Map<string, NodePrefix>();
      this.#claims.set(text, claims.set(nodeKey, claim));
    }
    return [...touched];
  }

  nodeKeys(): Iterable<string> {
    return this.#byNode.keys();
  }

  prefixes(): Iterable<string> {
    return this.#claims.keys();
  }

  get(prefix: string): NodePrefix | undefined {
    const claims = this.#claims.get(prefix);
    if (!claims) return undefined;
    if (claims.size === 1) for (const only of claims.values()) return only;
    const first = [...claims].toSorted(
      ([aKey, a], [bKey, b]) => this.#rank(aKey, a) - this.#rank(bKey, b) || (aKey < bKey ? -1 : 1),
    )[0];
    return first?.[1];
  }

  #rank(nodeKey: string, claim: NodePrefix): number {
    if (nodeKey === ownNodeKey(this.#own)) return 0;
    return claim.node.cluster === this.#own.cluster ? 1 : 2;
  }
}
