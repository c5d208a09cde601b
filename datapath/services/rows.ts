import type { KnownBackend, KnownService, KnownServices } from './known.ts';
import {
  affinityMatch,
  algorithmRandom,
  backendStates,
  backendValue,
  protocolNumbers,
  revNatValue,
  serviceFlags,
  serviceKey,
  serviceValue,
} from './layout.ts';

/** The tables of the load balancer; slots and masters share one map, and are written apart. */
export const tables = ['backends', 'revNats', 'matches', 'slots', 'masters'] as const;
export type Table = (typeof tables)[number];

/** Rows by the bytes of their key (latin1). */
export type Rows = ReadonlyMap<string, Buffer>;
export type RowSet = Readonly<Record<Table, Rows>>;

export class RowBuilder {
  readonly backends = new Map<string, Buffer>();
  readonly revNats = new Map<string, Buffer>();
  readonly matches = new Map<string, Buffer>();
  readonly slots = new Map<string, Buffer>();
  readonly masters = new Map<string, Buffer>();

  put(table: Table, key: Buffer, value: Buffer): void {
    this[table].set(key.toString('latin1'), value);
  }

  backend(backend: KnownBackend): void {
    const value = backendValue.bytes({
      address: backend.address,
      port: backend.port,
      protocol: protocolNumbers[backend.protocol],
      state: backendStates[backend.state],
      cluster: 0,
      zone: 0,
      pad: 0,
    });
    this.put('backends', backendKey(backend.id), value);
  }

  /** The service's own rows, without its backends'. */
  service(service: KnownService): void {
    const { frontend, revNat, affinitySeconds } = service;
    const flags = affinitySeconds > 0 ? serviceFlags.affinity : 0;
    const common = { revNat, flags, flags2: 0, quarantined: 0 };
    const backendId = affinitySeconds + algorithmRandom * 0x1000000;
    this.put('revNats', revNatKey(revNat), revNatValue.bytes({ address: frontend.address, port: frontend.port }));
    this.put('masters', slotKey(service, 0), serviceValue.bytes({ ...common, backendId, count: service.slots.length }));
    for (const [i, id] of service.slots.entries()) {
      this.put('slots', slotKey(service, i + 1), serviceValue.bytes({ ...common, backendId: id, count: 0 }));
      if (affinitySeconds > 0)
        this.put('matches', affinityMatch.bytes({ backendId: id, revNat, pad: 0 }), Buffer.from([1]));
    }
  }

  /** The service's rows and those of the backends it needs. */
  serviceWithBackends(service: KnownService, known: KnownServices): void {
    this.service(service);
    for (const id of service.backendIds) {
      const backend = known.backends.get(id);
      if (backend) this.backend(backend);
    }
  }
}

export function backendKey(id: number): Buffer {
  const key = Buffer.alloc(4);
  key.writeUInt32LE(id);
  return key;
}

export function revNatKey(index: number): Buffer {
  const key = Buffer.alloc(2);
  key.writeUInt16BE(index);
  return key;
}

function slotKey({ frontend }: KnownService, slot: number): Buffer {
  const { address, port, protocol } = frontend;
  return serviceKey.bytes({ address, port, slot, protocol: protocolNumbers[protocol], scope: 0, pad: 0 });
}
