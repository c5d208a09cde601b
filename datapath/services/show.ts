import { type KnownService, frontendKey } from './known.ts';
import { knownFrom } from './read.ts';
import { RowBuilder } from './rows.ts';
import { affinityMatch, revNatValue, serviceKey } from './layout.ts';

/** A row of a map, as it was dumped. */
export interface DumpedRow {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Services of dumped rows, one line each: `10.128.0.10:80/TCP => 10.1.0.10:8080, 10.2.0.10:8080 (rev-nat 2)`. */
export function servicesShown(services: readonly DumpedRow[], backends: readonly DumpedRow[]): string[] {
  const rows = new RowBuilder();
  for (const { key, value } of backends) rows.put('backends', key, value);
  for (const { key, value } of services) rows.put(serviceKey.decode(key).slot === 0 ? 'masters' : 'slots', key, value);
  const known = knownFrom(rows);
  const backend = (id: number): string => {
    const found = known.backends.get(id);
    return found ? `${found.address}:${found.port}` : `missing backend ${id}`;
  };
  const line = ({ frontend, slots, revNat, affinitySeconds }: KnownService): string =>
    `${frontendKey(frontend)} => ${slots.map(backend).join(', ') || 'no backend'} (rev-nat ${revNat}${affinitySeconds > 0 ? `, affinity ${affinitySeconds} s` : ''})`;
  return [...known.services.values()].map(line);
}

/** Backends of dumped rows: `3 => 10.1.0.10:8080/TCP active`. */
export function backendsShown(backends: readonly DumpedRow[]): string[] {
  const rows = new RowBuilder();
  for (const { key, value } of backends) rows.put('backends', key, value);
  return [...knownFrom(rows).backends.values()].map((one) => `${one.id} => ${frontendKey(one)} ${one.state}`);
}

/** `2 => 10.128.0.10:80` */
export function revNatShown({ key, value }: DumpedRow): string {
  const { address, port } = revNatValue.decode(value);
  return `${key.readUInt16BE()} => ${address}:${port}`;
}

/** `rev-nat 2 backend 3` */
export function affinityMatchShown({ key }: DumpedRow): string {
  const { revNat, backendId } = affinityMatch.decode(key);
  return `rev-nat ${revNat} backend ${backendId}`;
}
