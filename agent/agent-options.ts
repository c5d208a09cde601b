import type { Clock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import type { Metrics } from '../runtime/metrics/index.ts';
import type { ApiRoutes, UnixApiOptions } from '../runtime/serve/index.ts';
import type { MaxConnectedClusters } from '../values/identity/index.ts';
import type { IpAddress, Prefix } from '../values/ip/index.ts';
import type { PeerConfig, RemoteCertificate, ServiceMode } from '../clustermesh/index.ts';
import type { Datapath, DatapathOptions } from '../datapath/index.ts';
import type { Kernel } from '../kernel/index.ts';
import type { Store } from '../kvstore/index.ts';
import type { AgentStatus } from './api/index.ts';

export interface AgentOptions {
  readonly clusterName: string;
  readonly clusterId: number;
  readonly maxConnectedClusters?: MaxConnectedClusters;
  readonly nodeName: string;
  /** The node's address in the underlay (IPv4), where tunnels to it end. */
  readonly nodeIp: IpAddress;
  /** Directory with one store configuration for each remote cluster; absent: no remote clusters. */
  readonly clustermeshConfigDirectory?: string;
  /** Blocks of the own cluster (pods, Services, nodes) beside those that its nodes and Services show: no remote's. */
  readonly clusterCidrs?: readonly Prefix[];
  /** Which form of services is read of remotes; `prefer-legacy` unless told. */
  readonly serviceMode?: ServiceMode;
  /** How long records of a remote are kept whose writer has lost its lease; a day unless told, 0: for ever. */
  readonly lostLeaseGraceMs?: number;
  /** What has to survive a restart of the agent: its endpoints. */
  readonly stateDirectory: string;
  /** Unix socket of the control API; absent: no API. */
  readonly apiSocket?: string;
  /** Where /metrics, /healthz and /readyz are served; absent: nowhere. */
  readonly health?: { readonly host: string; readonly port: number };
  /** A directory of this node on a bpffs. */
  readonly pinDirectory: string;
  /** cgroup of the processes that get services at the socket level. */
  readonly cgroup?: string;
  /** Our keys go this long after our last sign of life; 15 min unless told. */
  readonly leaseTtlSeconds?: number;
  /** How long the first full pass waits for remote clusters before it goes on with what is known; 60 s unless told. */
  readonly syncTimeoutMs?: number;
  /** Full comparison of kernel and knowledge; 5 min unless told. */
  readonly auditMs?: number;
  /** How often the configuration directory is read without a reason; 30 s unless told. */
  readonly rescanMs?: number;
  readonly tunnel?: { readonly device?: string; readonly port?: number; readonly mtu?: number };
}

export interface AgentDeps {
  /** The own cluster's store; the caller closes it. */
  readonly store: Store;
  /** The node's namespace; the caller closes it. */
  readonly kernel: Kernel;
  /** Opens the store of a remote cluster. */
  readonly openRemoteStore: (config: PeerConfig) => Store | Promise<Store>;
  /** By which certificate we are known to a remote cluster; undefined where there is none. */
  readonly remoteCertificate?: (config: PeerConfig) => Promise<RemoteCertificate | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Unless told, the real one. */
  readonly openDatapath?: (options: DatapathOptions) => Promise<Datapath>;
  readonly checkPeer?: UnixApiOptions['checkPeer'];
  /** What the control socket serves, made of the agent's own routes: for a kernel whose devices nobody else makes. */
  readonly apiRoutes?: (own: ApiRoutes) => ApiRoutes;
  /** Called once, when the agent serves; for tests and for processes that hold several agents. */
  readonly started?: (agent: RunningAgent) => void;
}

/** What a caller in the same process may ask of a running agent. */
export interface RunningAgent {
  /** The control API, without its socket. */
  routes(): ApiRoutes;
  status(): AgentStatus;
  readiness(): { readonly ready: boolean; readonly waitingFor: readonly string[] };
}
