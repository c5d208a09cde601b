import type { Clock } from '../runtime/clock/index.ts';
import type { Logger } from '../runtime/log/index.ts';
import type { Datapath } from '../datapath/index.ts';
import type { Knowledge } from './knowledge.ts';
import { GroupSource, TableReconciler, rowSource } from './reconcile/index.ts';

export interface TablesDeps {
  readonly knowledge: Knowledge;
  readonly datapath: Datapath;
  readonly clock: Clock;
  readonly log: Logger;
  /** True while a Service must be left alone because it is known in part only. */
  readonly held: (service: string) => boolean;
}

/** The tables of the datapath, each with what it should hold. */
export function makeTables({ knowledge, datapath, clock, log, held }: TablesDeps) {
  const common = { clock, log };
  return {
    endpoints: new TableReconciler({
      ...common,
      name: 'endpoints',
      driver: datapath.endpoints,
      source: rowSource({
        entry: (address) => knowledge.endpointEntry(address),
        keys: () => knowledge.endpointKeys(),
      }),
    }),
    ipcache: new TableReconciler({
      ...common,
      name: 'ipcache',
      driver: datapath.ipcache,
      source: rowSource({ entry: (prefix) => knowledge.ipcacheEntry(prefix), keys: () => knowledge.ipcacheKeys() }),
    }),
    services: new TableReconciler({
      ...common,
      name: 'services',
      driver: datapath.services,
      source: new GroupSource({
        entries: (key) => knowledge.serviceEntries(key),
        groups: () => knowledge.services.keys(),
        keyOf: (entry) => datapath.services.keyOf(entry),
        held,
      }),
    }),
  };
}
