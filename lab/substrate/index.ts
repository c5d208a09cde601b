export { LinuxSubstrate, type LinuxSubstrateOptions } from './linux-substrate.ts';
export { MemorySubstrate } from './memory-substrate.ts';
export { portsOf, probePortOf } from './probe-ports.ts';
export type { EndpointRequest, LabSubstrate, StoreAddress, SubstrateResources } from './substrate.ts';
