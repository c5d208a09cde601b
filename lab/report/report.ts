/** The machine-readable result of a run: members may be added, never renamed. */
export interface LabReport {
  readonly clusters: readonly ClusterReport[];
  readonly connectivity: ConnectivityReport;
  readonly services: readonly ServiceReport[];
  readonly failover: readonly FailoverReport[];
  readonly timings: {
    readonly upMs: number;
    /** Null where no packet is sent, or there is but one cluster with pods. */
    readonly firstCrossClusterMs: number | null;
    readonly downMs: number;
  };
  readonly kernel: 'linux' | 'memory';
  /** Things that were wrong, in words; empty when all is well. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export interface ClusterReport {
  readonly name: string;
  readonly id: number;
  readonly nodes: number;
  readonly endpoints: number;
  readonly identities: number;
  /** Services of the cluster, and those of them that it shares with the mesh. */
  readonly services: number;
  readonly sharedServices: number;
  /** Age of the last heartbeat that another cluster saw of this one; −1 when there is no other cluster. */
  readonly heartbeatAgeSeconds: number;
  /** `ready`, or what is being waited for. */
  readonly state: string;
}

export interface ConnectivityReport {
  /** Ordered pairs of distinct pods. */
  readonly pairs: number;
  readonly ok: number;
  readonly failed: readonly { readonly from: string; readonly to: string; readonly error: string }[];
  /** Packets with a pod address in the outer header that the router between the clusters saw. */
  readonly strayPackets: number;
}

export interface ServiceReport {
  readonly namespace: string;
  readonly name: string;
  readonly global: boolean;
  /** Cluster → running backends. */
  readonly backends: Readonly<Record<string, number>>;
  readonly requests: number;
  readonly failed: number;
  /** `<cluster>/<pod>` → answers. */
  readonly answeredBy: Readonly<Record<string, number>>;
  /** Error → requests that ended with it. */
  readonly errors: Readonly<Record<string, number>>;
  /** Why nobody asked it; then there are no requests. */
  readonly notAsked?: string;
}

export interface FailoverReport {
  /** `<namespace>/<name>`. */
  readonly service: string;
  /** Cluster whose backends were stopped; the client is there, too, unless all its pods were. */
  readonly stopped: string;
  readonly requests: number;
  readonly failed: number;
  /** Longest time between two successful answers. */
  readonly blackoutMs: number;
  readonly answeredBy: Readonly<Record<string, number>>;
  readonly errors: Readonly<Record<string, number>>;
}

/** What the exit code says: nothing failed, nothing missing, nothing waited for in vain. */
export function isHealthy(report: LabReport): boolean {
  const { connectivity, services, failover, problems } = report;
  return (
    problems.length === 0 &&
    connectivity.ok === connectivity.pairs &&
    connectivity.strayPackets === 0 &&
    services.every((service) => service.failed === 0) &&
    failover.every((result) => result.failed === 0)
  );
}
