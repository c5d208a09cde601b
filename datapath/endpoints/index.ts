export type { EndpointEntry } from './entry.ts';
export { decodeEndpoint, endpointCodec } from './codec.ts';
export { openEndpoints } from './driver.ts';
export { endpointKey, endpointValue } from './layout.ts';
