import type { Pod } from '../../kubernetes/index.ts';

/** A pod that the scheduler placed: where it runs and which address it has. */
export interface PlacedPod {
  readonly cluster: string;
  readonly node: string;
  readonly namespace: string;
  readonly name: string;
  readonly ip: string;
  readonly pod: Pod;
}

/** `<cluster>/<namespace>/<pod>`: how a pod is named on the command line. */
export function podPath(pod: { readonly cluster: string; readonly namespace: string; readonly name: string }): string {
  return `${pod.cluster}/${pod.namespace}/${pod.name}`;
}
