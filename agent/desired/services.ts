import type { IpAddress } from '../../values/ip/index.ts';
import {
  type MeshBackend,
  type ServiceBackends,
  type ServicePortBackends,
  selectBackends,
} from '../../clustermesh/index.ts';
import type { ServiceBackend, ServiceEntry, ServiceProtocol } from '../../datapath/index.ts';
import type { OwnNode } from './own-node.ts';

/** Kubernetes' default of `sessionAffinityConfig.clientIP.timeoutSeconds`. */
const defaultAffinitySeconds = 10_800;

interface Frontend {
  readonly address: IpAddress;
  /** Of the two traffic policies, the one that is asked. */
  readonly policy: string | undefined;
}

/**
 * The frontends of one Service with the backends that answer for each: cluster, external and load balancer addresses, one
 * entry for every port. A frontend without backends is an entry too: it refuses at once. Headless Services and
 * ExternalNames have none. Sorted by address, port and protocol.
 */
export function serviceEntries(known: ServiceBackends, own: OwnNode): readonly ServiceEntry[] {
  const { service } = known;
  if (service.headless || service.type === 'ExternalName') return [];
  const frontends = new Map<IpAddress, Frontend>();
  for (const address of [...service.externalIps, ...service.loadBalancerIps])
    frontends.set(address, { address, policy: service.externalTrafficPolicy });
  for (const address of service.clusterIps) frontends.set(address, { address, policy: service.internalTrafficPolicy });
  const entries: ServiceEntry[] = [];
  for (const frontend of frontends.values())
    for (const port of known.ports)
      if (isProtocol(port.protocol)) entries.push(entryOf(known, frontend, port, port.protocol, own));
  return entries.toSorted(
    (a, b) => compare(a.address, b.address) || a.port - b.port || compare(a.protocol, b.protocol),
  );
}

function entryOf(
  { service, settings }: ServiceBackends,
  { address, policy }: Frontend,
  port: ServicePortBackends,
  protocol: ServiceProtocol,
  own: OwnNode,
): ServiceEntry {
  const sameFamily = port.backends.filter((backend) => backend.address.includes(':') === address.includes(':'));
  const selected = selectBackends(sameFamily, {
    global: settings.global,
    affinity: settings.affinity,
    ...(policy === 'Local' ? { onlyNode: own.name } : {}),
  });
  return {
    address,
    port: port.port,
    protocol,
    backends: selected.map(backendOf),
    ...(service.sessionAffinity === 'ClientIP'
      ? { affinitySeconds: service.sessionAffinityTimeoutSeconds ?? defaultAffinitySeconds }
      : {}),
  };
}

function backendOf({ address, port, state }: MeshBackend): ServiceBackend {
  return { address, port, state };
}

function isProtocol(protocol: string): protocol is ServiceProtocol {
  return protocol === 'TCP' || protocol === 'UDP' || protocol === 'SCTP';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
