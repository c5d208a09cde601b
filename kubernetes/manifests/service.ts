import { formatPrefix, parseIp, parsePrefix } from '../../values/ip/index.ts';
import type { Service, ServicePort } from '../objects/index.ts';
import type { FieldReader } from './field-reader.ts';
import { readMetadata } from './metadata.ts';
import { protocols } from './pod.ts';

const policies = ['Cluster', 'Local'] as const;
const familyPolicies = ['SingleStack', 'PreferDualStack', 'RequireDualStack'] as const;

export function readService(reader: FieldReader): Service {
  const spec = reader.object('spec');
  const ports = spec.list('ports', readServicePort);
  for (const [i, port] of ports.entries()) {
    if (ports.length > 1 && port.name === '')
      throw spec.error(`ports[${i}].name`, 'given when there are several ports', '');
    if (ports.findIndex((other) => other.name === port.name) < i)
      throw spec.error(`ports[${i}].name`, 'used once', port.name);
  }
  const timeout = spec.object('sessionAffinityConfig').object('clientIP');
  return {
    kind: 'Service',
    metadata: readMetadata(reader, 'namespaced'),
    spec: {
      type: spec.oneOf('type', ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'], 'ClusterIP'),
      clusterIPs: readClusterIPs(spec),
      ports,
      ...(spec.has('selector') ? { selector: spec.textMap('selector') } : {}),
      externalIPs: spec.parsed('externalIPs', 'an IP address', parseIp),
      loadBalancerIPs: readLoadBalancerIPs(reader.object('status').object('loadBalancer')),
      loadBalancerSourceRanges: spec.parsed('loadBalancerSourceRanges', 'an address block', (text) =>
        formatPrefix(parsePrefix(text.trim(), { strict: false })),
      ),
      ...policy(spec, 'internalTrafficPolicy'),
      ...policy(spec, 'externalTrafficPolicy'),
      sessionAffinity: spec.oneOf('sessionAffinity', ['None', 'ClientIP'], 'None'),
      ...(timeout.has('timeoutSeconds')
        ? { sessionAffinityTimeoutSeconds: timeout.integer('timeoutSeconds', 1, 86_400) }
        : {}),
      ...spec.spread('trafficDistribution'),
      ...readFamilies(spec),
      publishNotReadyAddresses: spec.boolean('publishNotReadyAddresses'),
      ...spec.spread('externalName'),
    },
  };
}

function readServicePort(port: FieldReader): ServicePort {
  const number = port.port('port');
  const nodePort = port.integer('nodePort', 0, 65_535, 0);
  return {
    name: port.text('name', ''),
    protocol: port.oneOf('protocol', protocols, 'TCP'),
    port: number,
    targetPort:
      typeof port.get('targetPort') === 'string'
        ? port.text('targetPort')
        : port.integer('targetPort', 0, 65_535, number) || number,
    ...(nodePort === 0 ? {} : { nodePort }),
    ...port.spread('appProtocol'),
  };
}

function readFamilies(spec: FieldReader): Pick<Service['spec'], 'ipFamilies' | 'ipFamilyPolicy'> {
  const families = spec.texts('ipFamilies').map((family, i) => {
    if (family !== 'IPv4' && family !== 'IPv6') throw spec.error(`ipFamilies[${i}]`, 'IPv4 or IPv6', family);
    return family;
  });
  return {
    ...(families.length === 0 ? {} : { ipFamilies: families }),
    ...(spec.has('ipFamilyPolicy') ? { ipFamilyPolicy: spec.oneOf('ipFamilyPolicy', familyPolicies) } : {}),
  };
}

/** `None` in any case means headless; nothing means not assigned yet. */
function readClusterIPs(spec: FieldReader): string[] {
  const canonical = (text: string): string => (text.toLowerCase() === 'none' ? 'None' : parseIp(text));
  const several = spec.parsed('clusterIPs', 'an IP address or None', canonical);
  const single = spec.optional('clusterIP');
  if (several.length > 0 || single === undefined) return several;
  try {
    return [canonical(single)];
  } catch {
    throw spec.error('clusterIP', 'an IP address or None', single);
  }
}

function readLoadBalancerIPs(status: FieldReader): string[] {
  return status
    .list('ingress', (item) => item.optional('ip'))
    .filter((ip) => ip !== undefined)
    .map((ip, i) => {
      try {
        return parseIp(ip);
      } catch {
        throw status.error(`ingress[${i}].ip`, 'an IP address', ip);
      }
    });
}

function policy<N extends 'internalTrafficPolicy' | 'externalTrafficPolicy'>(
  spec: FieldReader,
  name: N,
): { readonly [K in N]?: 'Cluster' | 'Local' } {
  return (spec.has(name) ? { [name]: spec.oneOf(name, policies) } : {}) as { readonly [K in N]?: 'Cluster' | 'Local' };
}
