import type { Pod, ServicePort } from '../../kubernetes/index.ts';

/**
 * The number that a Service's port leads to in a pod. A name that no container has leads nowhere: Kubernetes then makes no
 * endpoint of the pod for this port.
 */
export function targetPortOf(port: ServicePort, pod: Pod): number | undefined {
  const target = port.targetPort;
  if (typeof target === 'number') return target;
  return pod.spec.ports.find((named) => named.name === target && named.protocol === port.protocol)?.containerPort;
}

/** Whether the lab's server in a pod answers on a Service's port: it listens on the ports that containers declare. */
export function answersOn(port: ServicePort, pod: Pod): boolean {
  const target = targetPortOf(port, pod);
  return pod.spec.ports.some(({ containerPort, protocol }) => containerPort === target && protocol === port.protocol);
}
