import { isIPv4 } from 'node:net';
import { UsageError } from '../runtime/options/index.ts';

export interface OwnNode {
  readonly nodeName: string;
  readonly nodeIp: string;
}

/** What the options say of the own node. @throws {UsageError} for what no node can be called, or reached at. */
export function ownNode({ nodeName, nodeIp }: OwnNode): OwnNode {
  if (nodeName === '' || nodeName === '.' || nodeName === '..' || nodeName.includes('/'))
    throw new UsageError(`--node-name ${JSON.stringify(nodeName)} is no name of a node`, {
      option: '--node-name',
      hint: 'it is part of keys: not empty, not "." or "..", and without "/"',
    });
  if (!isIPv4(nodeIp) || isNobodys(nodeIp))
    throw new UsageError(`--node-ip expects the IPv4 address of this node, not ${JSON.stringify(nodeIp)}`, {
      option: '--node-ip',
      hint: 'other nodes send their tunnels there',
    });
  return { nodeName, nodeIp };
}

/** 0.0.0.0/8, multicast, and what is above: no node can be sent anything there. */
function isNobodys(ip: string): boolean {
  const first = Number(ip.slice(0, ip.indexOf('.')));
  return first === 0 || first >= 224;
}
