import type { IpAddress } from '../../values/ip/index.ts';
import type { LocalServiceRecord } from '../wire/records.ts';
import type { ServiceSettings } from './annotations.ts';

/** One address and port that answers for a service, in one cluster. */
export interface MeshBackend {
  readonly address: IpAddress;
  readonly port: number;
  /** `TCP`, `UDP` or `SCTP`. */
  readonly protocol: string;
  /** Every name that the port goes by; an unnamed port is ''. Sorted. */
  readonly portNames: readonly string[];
  readonly cluster: string;
  /** True for backends of another cluster. */
  readonly remote: boolean;
  readonly state: 'active' | 'terminating';
  readonly nodeName?: string;
  readonly zone?: string;
  /** `<ns>/<pod>`, when known. */
  readonly workload?: string;
}

/** A port of the local Service and every backend that bears its name, of whatever cluster: nothing is selected yet. */
export interface ServicePortBackends {
  readonly name: string;
  readonly port: number;
  readonly protocol: string;
  readonly nodePort?: number;
  /** Own cluster first, then by cluster name, address, port. */
  readonly backends: readonly MeshBackend[];
}

/** A local Service with the backends of all clusters; what `agent/desired` turns into entries. */
export interface ServiceBackends {
  readonly service: LocalServiceRecord;
  readonly settings: ServiceSettings;
  readonly ports: readonly ServicePortBackends[];
}
