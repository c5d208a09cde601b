import type { Pod, Service, Workload } from '../../../kubernetes/index.ts';

/** Small objects for the tests of the lab. */
export function workload(name: string, replicas: number, kind: Workload['kind'] = 'Deployment'): Workload {
  const labels = { app: name };
  return {
    kind,
    metadata: { name, namespace: 'shop', uid: name, labels, annotations: {} },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        labels,
        annotations: {},
        spec: {
          serviceAccountName: 'default',
          hostNetwork: false,
          ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
        },
      },
    },
  };
}

export function service(
  name: string,
  spec: Partial<Service['spec']> = {},
  annotations: Record<string, string> = {},
): Service {
  return {
    kind: 'Service',
    metadata: { name, namespace: 'shop', uid: name, labels: {}, annotations },
    spec: {
      type: 'ClusterIP',
      clusterIPs: [],
      ports: [{ name: 'web', protocol: 'TCP', port: 80, targetPort: 'http' }],
      selector: { app: name },
      externalIPs: [],
      loadBalancerIPs: [],
      loadBalancerSourceRanges: [],
      sessionAffinity: 'None',
      publishNotReadyAddresses: false,
      ...spec,
    },
  };
}

export function pod(name: string, app = name): Pod {
  return {
    kind: 'Pod',
    metadata: { name, namespace: 'shop', uid: name, labels: { app }, annotations: {} },
    spec: {
      serviceAccountName: 'default',
      hostNetwork: false,
      ports: [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    },
    status: { phase: 'Pending', podIPs: [], ready: false },
  };
}
