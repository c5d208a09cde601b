import { parseIp } from '../../../values/ip/index.ts';
import { type EndpointSlice, type Service, serviceNameLabel } from '../../../kubernetes/index.ts';
import type { LocalEndpoint, LocalEndpointsRecord, LocalServiceRecord } from '../../wire/index.ts';
import { understoodAnnotations } from './annotations.ts';
import { isHeadless } from './cluster-service.ts';

/** What agents of this cluster need of a Service; nothing for one that only renames another (ExternalName). */
export function localServiceOf(service: Service): LocalServiceRecord | undefined {
  const { metadata, spec } = service;
  if (spec.type === 'ExternalName') return undefined;
  const headless = isHeadless(service);
  return {
    namespace: metadata.namespace,
    name: metadata.name,
    uid: metadata.uid,
    type: spec.type,
    clusterIps: headless ? [] : spec.clusterIPs.map(parseIp),
    headless,
    ports: spec.ports.map(({ name, port, protocol, nodePort, appProtocol }) => ({
      name,
      port,
      protocol,
      ...(nodePort === undefined ? {} : { nodePort }),
      ...(appProtocol === undefined ? {} : { appProtocol }),
    })),
    externalIps: spec.externalIPs.map(parseIp),
    loadBalancerIps: spec.loadBalancerIPs.map(parseIp),
    loadBalancerSourceRanges: spec.loadBalancerSourceRanges,
    ...(spec.internalTrafficPolicy ? { internalTrafficPolicy: spec.internalTrafficPolicy } : {}),
    ...(spec.externalTrafficPolicy ? { externalTrafficPolicy: spec.externalTrafficPolicy } : {}),
    sessionAffinity: spec.sessionAffinity,
    ...(spec.sessionAffinityTimeoutSeconds === undefined
      ? {}
      : { sessionAffinityTimeoutSeconds: spec.sessionAffinityTimeoutSeconds }),
    ...(spec.trafficDistribution ? { trafficDistribution: spec.trafficDistribution } : {}),
    annotations: understoodAnnotations(metadata.annotations),
    hasSelector: spec.selector !== undefined,
  };
}

const managerLabel = 'endpointslice.kubernetes.io/managed-by';
/** Cilium's operator writes what it knows of *other* clusters into slices of our Services (clustermesh-behaviour §9). */
const meshController = 'endpointslice-mesh-controller.cilium.io';

/**
 * Name of the Service that a slice belongs to; none for backends of other clusters: those are known from their stores, and
 * said again as ours they would go round in the mesh for ever.
 */
export function serviceNameOf({ metadata }: EndpointSlice): string | undefined {
  return metadata.labels[managerLabel] === meshController ? undefined : metadata.labels[serviceNameLabel] || undefined;
}

/** What agents need of an EndpointSlice; nothing for one without Service or without addresses (FQDN). */
export function localEndpointsOf(slice: EndpointSlice): LocalEndpointsRecord | undefined {
  const service = serviceNameOf(slice);
  if (service === undefined || slice.addressType === 'FQDN') return undefined;
  return {
    namespace: slice.metadata.namespace,
    service,
    slice: slice.metadata.name,
    addressType: slice.addressType,
    ports: slice.ports.map(({ name, port, protocol, appProtocol }) => ({
      name,
      ...(port === undefined ? {} : { port }),
      protocol,
      ...(appProtocol === undefined ? {} : { appProtocol }),
    })),
    endpoints: slice.endpoints.map((endpoint) => localEndpointOf(endpoint, slice.metadata.namespace)),
  };
}

function localEndpointOf(endpoint: EndpointSlice['endpoints'][number], namespace: string): LocalEndpoint {
  const { targetRef, hints, nodeName, zone, hostname } = endpoint;
  return {
    addresses: endpoint.addresses.map(parseIp),
    ...endpoint.conditions,
    ...(nodeName === undefined ? {} : { nodeName }),
    ...(zone === undefined ? {} : { zone }),
    ...(hostname === undefined ? {} : { hostname }),
    ...(hints ? { hints: hints.forZones.map((hint) => hint.name) } : {}),
    ...(targetRef?.kind === 'Pod' ? { workload: `${targetRef.namespace || namespace}/${targetRef.name}` } : {}),
  };
}
