import type { IpAddress } from '../../values/ip/index.ts';
import type { NamedPort } from '../../clustermesh/index.ts';

/** One endpoint of this node: a pod (or what stands for one) behind a device in the node's namespace. */
export interface NodeEndpoint {
  readonly namespace: string;
  readonly name: string;
  /** 1–65535, unique on the node, kept across restarts. */
  readonly endpointId: number;
  readonly ips: readonly IpAddress[];
  /** Name and index of the node's end. */
  readonly link: string;
  readonly linkIndex: number;
  readonly mac: string;
  readonly nodeMac: string;
  /** `reserved:init` until the cluster has told. */
  readonly identity: number;
  readonly serviceAccount: string;
  readonly namedPorts: readonly NamedPort[];
  /** Other clusters do not learn of it: its namespace is not global. */
  readonly hidden?: boolean;
}

/** `<namespace>/<name>`. */
export function endpointKey({ namespace, name }: Pick<NodeEndpoint, 'namespace' | 'name'>): string {
  return `${namespace}/${name}`;
}
