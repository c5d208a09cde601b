export type { ServiceBackend, ServiceEntry, ServiceProtocol } from './entry.ts';
export { ServiceDriver } from './driver.ts';
export type { ServiceMaps } from './read.ts';
export { affinityMatch, backendValue, revNatValue, serviceKey, serviceValue } from './layout.ts';
export { type DumpedRow, affinityMatchShown, backendsShown, revNatShown, servicesShown } from './show.ts';
