import type { Labels } from '../../values/labels/index.ts';

/** The part of Kubernetes objects that isthmus reads; unknown members are dropped where objects enter. */
export interface ObjectMeta {
  readonly name: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace: string;
  readonly uid: string;
  readonly labels: Labels;
  readonly annotations: Readonly<Record<string, string>>;
  readonly creationTimestamp?: string;
}

export type Protocol = 'TCP' | 'UDP' | 'SCTP';

export interface ContainerPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly protocol: Protocol;
  /** A port of the node that leads here; absent: none. */
  readonly hostPort?: number;
}
