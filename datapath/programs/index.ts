export { type Datapath, type DatapathOptions, openDatapath } from './open.ts';
export { type MapName, mapNames } from './maps.ts';
export type { MapUsage } from './usage.ts';
export { type ObjectName, objectPath } from './object-path.ts';
export { defaultNatPorts, nodeConfig } from './node-config.ts';
