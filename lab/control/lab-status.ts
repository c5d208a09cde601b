import type { CutLink } from '../network/index.ts';
import type { ClusterReport } from '../report/index.ts';

/** Answer of `GET /v1/status` of a lab. */
export interface LabStatus {
  readonly name: string;
  readonly kernel: 'linux' | 'memory';
  /** −1 until the mesh is up. */
  readonly upMs: number;
  /** Null until there was such an answer. */
  readonly firstCrossClusterMs: number | null;
  readonly clusters: readonly ClusterReport[];
  /** Links that `lab cut` has cut and nobody healed. */
  readonly cut: readonly CutLink[];
  readonly pods: readonly {
    readonly path: string;
    readonly node: string;
    readonly ip: string;
    readonly state: string;
  }[];
  readonly processes: readonly {
    readonly role: string;
    readonly pid: number;
    readonly restarts: number;
    readonly rssBytes: number;
    readonly pssBytes: number;
    /** CPU time since the process started. */
    readonly cpuMs: number;
  }[];
}
