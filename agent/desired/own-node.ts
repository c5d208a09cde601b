import type { IpAddress } from '../../values/ip/index.ts';

/** What desired state has to know of the node it is for. */
export interface OwnNode {
  readonly cluster: string;
  readonly name: string;
  /** Its address in the underlay, where tunnels to it end. */
  readonly ip: IpAddress;
}

/** `<cluster>/<node>`. */
export function ownNodeKey(own: OwnNode): string {
  return `${own.cluster}/${own.name}`;
}
