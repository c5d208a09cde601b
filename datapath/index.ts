export {
  type Datapath,
  type DatapathOptions,
  type MapName,
  type MapUsage,
  mapNames,
  objectPath,
  openDatapath,
} from './programs/index.ts';
export type { AuditResult, TableChange, TableDriver } from './table/index.ts';
export type { IpcacheEntry } from './ipcache/index.ts';
export type { EndpointEntry } from './endpoints/index.ts';
export type { ServiceBackend, ServiceEntry, ServiceProtocol } from './services/index.ts';
export { type Counter, type DropReason, type ForwardEvent, dropReasons, forwardEvents } from './drops/index.ts';
export {
  type AddressPair,
  type RouterCount,
  type RouterCounter,
  type RouterCounterOptions,
  openRouterCounter,
} from './router/index.ts';
export { readableMaps } from './show/index.ts';
