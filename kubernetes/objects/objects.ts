import type { LabelSelector, Labels } from '../../values/labels/index.ts';
import type { ContainerPort, ObjectMeta, Protocol } from './object-meta.ts';
import type { CiliumEndpoint, CiliumEndpointSlice, CiliumIdentity, CiliumNode } from './cilium.ts';

export interface Namespace {
  readonly kind: 'Namespace';
  readonly metadata: ObjectMeta;
}

export interface Node {
  readonly kind: 'Node';
  readonly metadata: ObjectMeta;
  readonly spec: { readonly podCIDRs: readonly string[] };
  readonly status: {
    readonly addresses: readonly { readonly type: string; readonly address: string }[];
    readonly ready: boolean;
  };
}

export interface Pod {
  readonly kind: 'Pod';
  readonly metadata: ObjectMeta;
  readonly spec: {
    readonly nodeName?: string;
    readonly serviceAccountName: string;
    readonly hostNetwork: boolean;
    readonly hostname?: string;
    readonly ports: readonly ContainerPort[];
  };
  readonly status: {
    readonly phase: 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';
    readonly podIPs: readonly string[];
    readonly hostIP?: string;
    readonly ready: boolean;
  };
}

export interface ServicePort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort?: number;
  readonly appProtocol?: string;
}

export interface Service {
  readonly kind: 'Service';
  readonly metadata: ObjectMeta;
  readonly spec: {
    readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
    /** `None` for headless; empty until assigned. */
    readonly clusterIPs: readonly string[];
    readonly ports: readonly ServicePort[];
    /** Absent: endpoints are managed by somebody else. */
    readonly selector?: Labels;
    readonly externalIPs: readonly string[];
    readonly loadBalancerIPs: readonly string[];
    readonly loadBalancerSourceRanges: readonly string[];
    readonly internalTrafficPolicy?: 'Cluster' | 'Local';
    readonly externalTrafficPolicy?: 'Cluster' | 'Local';
    readonly sessionAffinity: 'None' | 'ClientIP';
    readonly sessionAffinityTimeoutSeconds?: number;
    readonly trafficDistribution?: string;
    /** Families that were asked for, in order; absent: left to the cluster. */
    readonly ipFamilies?: readonly ('IPv4' | 'IPv6')[];
    readonly ipFamilyPolicy?: 'SingleStack' | 'PreferDualStack' | 'RequireDualStack';
    readonly publishNotReadyAddresses: boolean;
    readonly externalName?: string;
  };
}

export interface EndpointSlice {
  readonly kind: 'EndpointSlice';
  readonly metadata: ObjectMeta;
  readonly addressType: 'IPv4' | 'IPv6' | 'FQDN';
  readonly endpoints: readonly EndpointSliceEndpoint[];
  readonly ports: readonly {
    readonly name: string;
    readonly protocol: Protocol;
    readonly port?: number;
    readonly appProtocol?: string;
  }[];
}

export interface EndpointSliceEndpoint {
  readonly addresses: readonly string[];
  /** Absent ready is true, absent serving is what ready says, absent terminating is false (EndpointSlice API). */
  readonly conditions: { readonly ready: boolean; readonly serving: boolean; readonly terminating: boolean };
  /** Those that the object states, where it leaves some out: others are told no more than it says. */
  readonly statedConditions?: { readonly ready?: boolean; readonly serving?: boolean; readonly terminating?: boolean };
  readonly hostname?: string;
  readonly nodeName?: string;
  readonly zone?: string;
  /** Of objects that came from `discovery.k8s.io/v1beta1`. */
  readonly deprecatedTopology?: Labels;
  readonly hints?: { readonly forZones: readonly { readonly name: string }[] };
  readonly targetRef?: { readonly kind: string; readonly namespace: string; readonly name: string };
}

/** Asks for a Service to be exported to all clusters of the mesh (MCS API, `multicluster.x-k8s.io`). */
export interface ServiceExport {
  readonly kind: 'ServiceExport';
  readonly metadata: ObjectMeta;
  readonly spec: { readonly exportedLabels: Labels; readonly exportedAnnotations: Readonly<Record<string, string>> };
}

/** A policy (`networking.k8s.io`). Its rules are handed on as they were written: who applies them judges them. */
export interface NetworkPolicy {
  readonly kind: 'NetworkPolicy';
  readonly metadata: ObjectMeta;
  /** Counts changes of `spec`; 0 of an object that no API server has seen. */
  readonly generation: number;
  readonly spec: Readonly<Record<string, unknown>>;
}

/** A workload that a scheduler turns into pods; the apiserver never sees it. */
export interface Workload {
  readonly kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'ReplicaSet' | 'Job';
  readonly metadata: ObjectMeta;
  readonly spec: {
    readonly replicas: number;
    readonly selector: LabelSelector;
    readonly template: {
      readonly labels: Labels;
      readonly annotations: Readonly<Record<string, string>>;
      readonly spec: Pod['spec'];
    };
  };
}

/** Kinds that the apiserver follows, each in one of its modes or both. */
export type KubernetesObject =
  | Namespace
  | Node
  | Pod
  | Service
  | EndpointSlice
  | ServiceExport
  | NetworkPolicy
  | CiliumNode
  | CiliumIdentity
  | CiliumEndpoint
  | CiliumEndpointSlice;
export type KubernetesKind = KubernetesObject['kind'];

/** One change of a source. `synced` comes once per kind and life: every object of the kind has been handed over. */
export type KubernetesEvent =
  | { readonly type: 'upsert'; readonly object: KubernetesObject }
  | { readonly type: 'delete'; readonly kind: KubernetesKind; readonly namespace: string; readonly name: string }
  | { readonly type: 'synced'; readonly kind: KubernetesKind };

/** Where Kubernetes objects come from: a real API server, a folder of manifests, or the lab's scheduler. */
export interface KubernetesSource {
  /** For messages, without credentials. */
  readonly description: string;
  /** What it follows: no event is about another kind, and each of these becomes `synced` once it could be read. */
  readonly kinds: readonly KubernetesKind[];
  /**
   * Each namespace that objects are in is an object, too, though it may be told after them. Without this a namespace that is
   * not known is one of which nobody has said anything.
   */
  readonly namesNamespaces?: boolean;
  /** All objects, then what changes, until `signal` aborts. After a reconnection, what is gone comes as deletes. */
  watch(signal: AbortSignal): AsyncIterable<KubernetesEvent>;
  /**
   * Objects that the source has left out because they are not valid, as of now. A problem is here before the `synced` of
   * its kind is handed over, and stays until the events of the version without it have been taken.
   */
  problems?(): readonly SourceProblem[];
  /**
   * What cannot be read at present, as a whole: kinds, the folder, the stream. What was read of it before stays in force, and nothing
   * that changes comes. Empty before the first attempt.
   */
  unread?(): readonly SourceProblem[];
}

/** Something that could not be taken in. What it describes may exist although no event names it. */
export interface SourceProblem {
  /** File and document, or whatever leads to the object. */
  readonly object: string;
  readonly reason: string;
  /** What it describes, as far as that can be said; without a kind it may be anything. */
  readonly about?: ProblemSubject;
}

export interface ProblemSubject {
  /** As written; may be a kind that plays no role. */
  readonly kind: string;
  /** Absent together with `namespace`: any object of the kind. */
  readonly name?: string;
  /** Empty for cluster-scoped kinds. */
  readonly namespace?: string;
}
