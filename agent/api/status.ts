import type { RemoteClusterStatus } from '../../clustermesh/index.ts';
import type { StoreHealth } from '../../kvstore/index.ts';
import type { TableStatus } from '../reconcile/index.ts';

/** `GET /v1/status`. */
export interface AgentStatus {
  readonly cluster: string;
  readonly clusterId: number;
  readonly node: string;
  readonly nodeIp: string;
  readonly pid: number;
  readonly uptimeSeconds: number;
  /** The first full pass is done, so that what was known then is in the kernel, and the own store can be reached. */
  readonly ready: boolean;
  /** What is still to be read, or cannot be; nothing is removed from the kernel before this was empty once. */
  readonly waitingFor: readonly string[];
  readonly store: StoreHealth;
  /** Of the own cluster, as this agent sees it. */
  readonly counts: {
    readonly nodes: number;
    readonly endpoints: number;
    readonly identities: number;
    readonly services: number;
    readonly localEndpoints: number;
  };
  readonly refused: number;
  /** What cannot be read at present, the directory of remote clusters: who is added or removed there is not noticed. Absent while it can. */
  readonly unread?: readonly { readonly object: string; readonly reason: string }[];
  /** Remote clusters, by name. */
  readonly clusters: readonly RemoteClusterStatus[];
  readonly tables: readonly TableStatus[];
  readonly routes: number;
  /** Services also work for processes in the cgroup at the socket level. */
  readonly socketLevel: boolean;
  /** What this node has written of itself, and what the store refuses of it (up to ten): it is not in the mesh without. */
  readonly registration: {
    readonly keys: number;
    readonly queued: number;
    /** Why nothing of it can be written at present; absent while it can. */
    readonly unwritten?: string;
    readonly refused: readonly { readonly key: string; readonly reason: string }[];
  };
  readonly process: { readonly residentBytes: number; readonly heapBytes: number; readonly cpuSeconds: number };
}
