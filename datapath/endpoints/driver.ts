import type { BpfMap } from '../../kernel/ports/index.ts';
import { MapTable, type TableDriver } from '../table/index.ts';
import { endpointCodec } from './codec.ts';
import type { EndpointEntry } from './entry.ts';

/** Writes the endpoints and host addresses of this node. */
export function openEndpoints(map: BpfMap): TableDriver<EndpointEntry> {
  return new MapTable(endpointCodec, map);
}
