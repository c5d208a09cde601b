import type { PodPort } from '../pods/index.ts';
import type { PlacedPod } from '../scheduler/index.ts';

/** What a pod without any container port answers on, so that it can be probed as well. */
export const probePort = 7946;

/** Ports that a pod's server listens on. */
export function portsOf(pod: PlacedPod): readonly PodPort[] {
  const ports = pod.pod.spec.ports.flatMap(({ containerPort, protocol }) =>
    protocol === 'SCTP' ? [] : [{ port: containerPort, protocol }],
  );
  const distinct = [...new Map(ports.map((port) => [`${port.port}/${port.protocol}`, port])).values()];
  return distinct.some((port) => port.protocol === 'TCP')
    ? distinct
    : [...distinct, { port: probePort, protocol: 'TCP' }];
}

/** The TCP port on which a pod is probed. */
export function probePortOf(pod: PlacedPod): number {
  return portsOf(pod).find((port) => port.protocol === 'TCP')?.port ?? probePort;
}
