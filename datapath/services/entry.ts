import type { IpAddress } from '../../values/ip/index.ts';

export type ServiceProtocol = 'TCP' | 'UDP' | 'SCTP';

/** One frontend (address, port, protocol) and the backends that answer for it, already selected. */
export interface ServiceEntry {
  readonly address: IpAddress;
  readonly port: number;
  readonly protocol: ServiceProtocol;
  readonly backends: readonly ServiceBackend[];
  /** Seconds of ClientIP affinity; absent: none. */
  readonly affinitySeconds?: number;
}

export interface ServiceBackend {
  readonly address: IpAddress;
  readonly port: number;
  /** Terminating backends serve only while no active one is left. */
  readonly state: 'active' | 'terminating';
}
