export type { IpcacheEntry } from './entry.ts';
export { decodeIpcache, ipcacheCodec } from './codec.ts';
export { openIpcache } from './driver.ts';
export { ipcacheKey, ipcacheValue } from './layout.ts';
