import type { BpfMap } from '../../kernel/ports/index.ts';
import type { ServiceProtocol } from './entry.ts';
import { type Frontend, KnownServices, frontendKey } from './known.ts';
import { backendStates, backendValue, protocolNumbers, serviceFlags, serviceKey, serviceValue } from './layout.ts';
import { RowBuilder, type Table } from './rows.ts';

/** The maps of the load balancer. */
export interface ServiceMaps {
  readonly services: BpfMap;
  readonly backends: BpfMap;
  readonly revNats: BpfMap;
  readonly matches: BpfMap;
}

export function mapOf(maps: ServiceMaps, table: Table): BpfMap {
  return table === 'slots' || table === 'masters' ? maps.services : maps[table];
}

/** Every row of the maps. */
export async function readRows(maps: ServiceMaps): Promise<RowBuilder> {
  const rows = new RowBuilder();
  const into = (table: Table) => (key: Uint8Array, value: Uint8Array) =>
    rows.put(table, Buffer.from(key), Buffer.from(value));
  await maps.backends.dump(into('backends'));
  await maps.revNats.dump(into('revNats'));
  await maps.matches.dump(into('matches'));
  await maps.services.dump((key, value) => {
    const copy = Buffer.from(key);
    into(serviceKey.decode(copy).slot === 0 ? 'masters' : 'slots')(copy, value);
  });
  return rows;
}

/** The services and backends that the rows speak of. Rows that make no sense are passed over: an audit removes them. */
export function knownFrom(rows: RowBuilder): KnownServices {
  const known = new KnownServices();
  for (const [key, value] of rows.backends) {
    const { address, port, protocol: number, state } = backendValue.decode(value);
    const protocol = protocolOf(number);
    const id = Buffer.from(key, 'latin1').readUInt32LE();
    if (protocol)
      known.putBackend({
        id,
        address,
        port,
        protocol,
        state: state === backendStates.active ? 'active' : 'terminating',
      });
  }
  for (const [key, value] of rows.masters) {
    const master = serviceValue.decode(value);
    const raw = Buffer.from(key, 'latin1');
    const frontend = frontendOf(raw);
    if (!frontend) continue;
    const slots = Array.from({ length: master.count }, (_, i) => {
      raw.writeUInt16LE(i + 1, serviceKey.fields.slot.offset);
      const slot = rows.slots.get(raw.toString('latin1'));
      return slot === undefined ? undefined : serviceValue.decode(slot).backendId;
    }).filter((id) => id !== undefined);
    known.putService({
      frontend,
      revNat: master.revNat,
      affinitySeconds: master.flags & serviceFlags.affinity ? master.backendId & 0xffffff : 0,
      slots,
      backendIds: [...new Set(slots)],
    });
  }
  return known;
}

/** The service a row of the service map belongs to. */
export function frontendKeyOf(key: Buffer): string | undefined {
  const frontend = frontendOf(key);
  return frontend && frontendKey(frontend);
}

function frontendOf(key: Buffer): Frontend | undefined {
  const { address, port, protocol: number } = serviceKey.decode(key);
  const protocol = protocolOf(number);
  return protocol && { address, port, protocol };
}

function protocolOf(number: number): ServiceProtocol | undefined {
  if (number === protocolNumbers.TCP) return 'TCP';
  if (number === protocolNumbers.UDP) return 'UDP';
  return number === protocolNumbers.SCTP ? 'SCTP' : undefined;
}
