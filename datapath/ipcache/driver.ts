import type { BpfMap } from '../../kernel/ports/index.ts';
import { MapTable, type TableDriver } from '../table/index.ts';
import { ipcacheCodec } from './codec.ts';
import type { IpcacheEntry } from './entry.ts';

/** Writes the ipcache: up to 512,000 prefixes, in batches. */
export function openIpcache(map: BpfMap): TableDriver<IpcacheEntry> {
  return new MapTable(ipcacheCodec, map);
}
