import type { Logger } from '../runtime/log/index.ts';
import type { IpAddress } from '../values/ip/index.ts';
import type { NetworkPort } from '../kernel/index.ts';
import { type OverlayDevice, routeMtu } from '../tunnel/index.ts';

/** Name and port that agents use unless told; the port is that of Cilium's VXLAN. */
const defaults = { device: 'isth0', port: 8472, underlayMtu: 1500 } as const;

/** The overlay device of a node: its MTU leaves room for the tunnel on the device that has the node's address. */
export async function overlayDeviceFor(
  network: NetworkPort,
  nodeIp: IpAddress,
  options: { readonly device?: string; readonly port?: number; readonly mtu?: number },
  log: Logger,
): Promise<OverlayDevice> {
  const { device = defaults.device, port = defaults.port } = options;
  const mtu = options.mtu ?? (await mtuFor(network, nodeIp, log));
  return { protocol: 'vxlan', name: device, port, mtu };
}

async function mtuFor(network: NetworkPort, nodeIp: IpAddress, log: Logger): Promise<number> {
  const holder = (await network.addresses()).find(({ address }) => address === nodeIp);
  const link = holder && (await network.links()).find(({ index }) => index === holder.link);
  if (!link)
    log.warn('No device of this node has the node’s address; an MTU is assumed', {
      nodeIp,
      mtu: defaults.underlayMtu,
      hint: 'Check --node-ip',
    });
  return routeMtu(link?.mtu ?? defaults.underlayMtu, { underlay: 4, tunnel: true, encryption: 'none' });
}
