import type { Kernel } from '../../../kernel/index.ts';
import { reconcileOverlay } from '../../../tunnel/index.ts';
import type { Place } from './suite.ts';

/** An overlay device and two veths. */
export async function prepare(kernel: Kernel): Promise<Pick<Place, 'overlayLink' | 'podLinks'>> {
  const device = { protocol: 'vxlan', name: 'isth0', port: 8472, mtu: 1450 } as const;
  const overlay = await reconcileOverlay(kernel.network, device);
  const veth = async (name: string): Promise<number> =>
    (await kernel.network.createLink({ kind: 'veth', name, up: true, peer: { name: `${name}p` } })).index;
  return { overlayLink: overlay.index, podLinks: [await veth('lxc1'), await veth('lxc2')] };
}
