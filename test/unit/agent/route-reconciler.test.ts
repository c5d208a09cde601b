import { beforeEach, describe, expect, test } from '@jest/globals';
import { RouteReconciler } from '../../../agent/reconcile/index.ts';
import { MemoryKernel, type NetworkPort } from '../../../kernel/index.ts';
import { VirtualClock } from '../../../runtime/clock/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { type NodeRoute, overlayGateway, reconcileOverlay } from '../../../tunnel/index.ts';
import { formatPrefix, parsePrefix } from '../../../values/ip/index.ts';

const device = { protocol: 'vxlan', name: 'isth9', port: 8473, mtu: 1400 } as const;
const marked = { prune: true, force: false };

let network: NetworkPort;
let clock: VirtualClock;
let desired: Map<string, NodeRoute>;
let routes: RouteReconciler;

beforeEach(async () => {
  network = new MemoryKernel().network;
  await reconcileOverlay(network, device);
  clock = new VirtualClock();
  desired = new Map();
  routes = new RouteReconciler({
    network,
    desired: (destination) => desired.get(destination),
    destinations: () => desired.keys(),
    clock,
    log: silentLogger,
  });
});

function want(block: string, mtu = 1400): void {
  desired.set(block, { destination: parsePrefix(block), device: 'isth9', mtu });
}

async function written(): Promise<string[]> {
  const found = await network.routes({ protocol: network.protocol });
  return found
    .filter(({ gateway }) => gateway === overlayGateway)
    .map(({ destination, mtu }) => `${formatPrefix(destination)} ${mtu}`)
    .toSorted();
}

describe('routes of a node', () => {
  test('are all compared at first, and then those that are marked', async () => {
    want('10.2.0.0/24');
    expect(routes.due).toBe(true);
    await routes.reconcile(marked);
    expect(routes.due).toBe(false);
    want('10.2.0.0/24', 1300);
    want('10.3.0.0/24');
    want('10.4.0.0/24');
    routes.mark('10.3.0.0/24');
    await routes.reconcile(marked);
    expect(await written()).toEqual(['10.2.0.0/24 1400', '10.3.0.0/24 1400']);
    expect(routes.count).toBe(2);
    await routes.reconcile({ prune: true, force: true });
    expect(await written()).toEqual(['10.2.0.0/24 1300', '10.3.0.0/24 1400', '10.4.0.0/24 1400']);
  });

  test('go when nobody desires them, but not before pruning has begun', async () => {
    want('10.2.0.0/24');
    want('10.3.0.0/24');
    await routes.reconcile({ prune: false, force: false });
    desired.clear();
    routes.mark('10.2.0.0/24');
    await routes.reconcile({ prune: false, force: false });
    expect(await written()).toHaveLength(2);
    routes.mark('10.3.0.0/24');
    await routes.reconcile(marked);
    expect(await written()).toEqual(['10.2.0.0/24 1400']);
    await routes.reconcile({ prune: true, force: true });
    expect(await written()).toEqual([]);
  });

  test('that could not be written are all compared after a pause', async () => {
    await routes.reconcile(marked);
    desired.set('10.2.0.0/24', { destination: parsePrefix('10.2.0.0/24'), device: 'nowhere', mtu: 1400 });
    want('10.3.0.0/24');
    routes.mark('10.2.0.0/24');
    await routes.reconcile(marked);
    expect([routes.due, routes.retryInMs]).toEqual([false, expect.any(Number)]);
    want('10.2.0.0/24');
    await clock.advance(routes.retryInMs ?? 0);
    expect(routes.due).toBe(true);
    await routes.reconcile(marked);
    expect(await written()).toEqual(['10.2.0.0/24 1400', '10.3.0.0/24 1400']);
    expect(routes.retryInMs).toBeUndefined();
  });
});
