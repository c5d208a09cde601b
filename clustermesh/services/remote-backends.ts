import type { ClusterServiceRecord } from '../wire/records.ts';
import { type BackendSet, addBackend } from './backend-set.ts';

const protocols = new Set(['TCP', 'UDP', 'SCTP']);

/**
 * Adds what a remote cluster offers for the service of the same name. Its frontends are not used, its backends are all
 * active (the record carries no conditions), and they have no node name: a node filter lets them pass.
 */
export function addRemoteBackends(into: BackendSet, record: ClusterServiceRecord): void {
  if (!record.shared) return;
  for (const [address, ports] of Object.entries(record.backends))
    for (const [name, { protocol, port }] of Object.entries(ports)) {
      if (!protocols.has(protocol) || port === 0) continue;
      const zone = record.zones[address]?.zone;
      addBackend(into, name, {
        address,
        port,
        protocol,
        cluster: record.cluster,
        remote: true,
        state: 'active',
        ...(zone ? { zone } : {}),
      });
    }
}
