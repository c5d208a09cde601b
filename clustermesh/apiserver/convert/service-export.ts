import { isIp } from '../../../values/ip/index.ts';
import type { Service, ServiceExport } from '../../../kubernetes/index.ts';
import type { IpFamily, ServiceExportRecord } from '../../wire/index.ts';
import { isHeadless } from './cluster-service.ts';

const distributions = ['PreferClose', 'PreferSameZone', 'PreferSameNode'] as const;

/**
 * The record of an exported Service (kvstore-schema §8); nothing for one that only renames another (ExternalName).
 * Defaults that an API server fills in are filled in here: a manifest comes without them.
 * @param createdMs when the export was made: the oldest wins conflicts.
 */
export function serviceExportOf(
  exported: ServiceExport,
  service: Service,
  cluster: string,
  createdMs: number,
): ServiceExportRecord | undefined {
  const { spec } = service;
  if (spec.type === 'ExternalName') return undefined;
  const distribution = distributions.find((word) => word === spec.trafficDistribution);
  return {
    cluster,
    name: exported.metadata.name,
    namespace: exported.metadata.namespace,
    annotations: exported.spec.exportedAnnotations,
    labels: exported.spec.exportedLabels,
    exportCreationMs: createdMs,
    ports: spec.ports.map(({ name, protocol, port, appProtocol }) => ({
      name,
      protocol,
      port,
      ...(appProtocol === undefined ? {} : { appProtocol }),
    })),
    type: isHeadless(service) ? 'Headless' : 'ClusterSetIP',
    sessionAffinity: spec.sessionAffinity,
    ...(spec.sessionAffinity === 'ClientIP'
      ? { sessionAffinityTimeoutSeconds: spec.sessionAffinityTimeoutSeconds ?? 10_800 }
      : {}),
    ipFamilies: spec.ipFamilies ?? familiesOf(spec.clusterIPs),
    internalTrafficPolicy: spec.internalTrafficPolicy ?? 'Cluster',
    ...(distribution ? { trafficDistribution: distribution } : {}),
  };
}

function familiesOf(clusterIPs: readonly string[]): IpFamily[] {
  return [...new Set(clusterIPs.filter(isIp).map((ip): IpFamily => (ip.includes(':') ? 'IPv6' : 'IPv4')))];
}
