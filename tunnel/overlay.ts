import { KernelError, type Link, type NetworkPort } from '../kernel/ports/index.ts';
import type { OverlayDevice } from './entry.ts';
import { overlayPlan } from './overlay-plan.ts';

/**
 * Makes the overlay device what `device` says, and tells it as it is then. A device that is right already is not
 * touched. Other overlay devices stay: two labs, and Cilium, may have theirs.
 * @throws {KernelError} when the kernel refuses, for example because another device has the port.
 */
export async function reconcileOverlay(network: NetworkPort, device: OverlayDevice): Promise<Link> {
  const actual = await network.link(device.name);
  const plan = overlayPlan(device, actual);
  switch (plan.type) {
    case 'keep':
      break;
    case 'change':
      if (actual)
        await network.changeLink(actual.index, {
          ...(plan.mtu === undefined ? {} : { mtu: plan.mtu }),
          ...(plan.up ? { up: true } : {}),
        });
      break;
    case 'replace':
      await network.deleteLink(device.name);
      await create(network, device);
      break;
    case 'create':
      await create(network, device);
      break;
  }
  const link = await network.link(device.name);
  if (!link) throw new Error(`Overlay device ${device.name} vanished while it was set up`);
  return link;
}

async function create(network: NetworkPort, { name, port, mtu }: OverlayDevice): Promise<void> {
  const { index } = await network.createLink({ kind: 'vxlan', name, port, mtu });
  // IPv4 only for now: without this the kernel sends router solicitations into a device that has nobody to send them to.
  // On a kernel without IPv6 there is nothing to turn off.
  await network.setSysctl(`ipv6/conf/${name}/disable_ipv6`, '1').catch((error: unknown) => {
    if (!(error instanceof KernelError)) throw error;
  });
  await network.changeLink(index, { up: true });
}
