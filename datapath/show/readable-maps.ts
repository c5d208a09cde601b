import { formatPrefix } from '../../values/ip/index.ts';
import { decodeEndpoint } from '../endpoints/index.ts';
import { decodeIpcache } from '../ipcache/index.ts';
import { mapNames } from '../programs/maps.ts';
import { type DumpedRow, affinityMatchShown, backendsShown, revNatShown, servicesShown } from '../services/index.ts';

const entryPattern = /^map (\S+) ([0-9a-f]+) => ([0-9a-f]+)$/;

/**
 * The text of a kernel's state (`Kernel.describe`) with the entries of our maps in words: prefix → identity and tunnel
 * endpoint, frontend → backends. What holds no knowledge of ours (connections, counters) and what cannot be read stays as
 * it is.
 */
export function readableMaps(text: string): string {
  const lines = text.split('\n');
  const rows = new Map<string, DumpedRow[]>();
  for (const line of lines) {
    const [, map = '', key = '', value = ''] = entryPattern.exec(line) ?? [];
    if (map !== '') rows.set(map, [...(rows.get(map) ?? []), { key: bytes(key), value: bytes(value) }]);
  }
  const shown = new Set<string>();
  const devices = devicesIn(lines);
  return lines
    .flatMap((line) => {
      const [, map = ''] = entryPattern.exec(line) ?? [];
      if (map === '') return [line];
      // All entries of a map stand where its first one stood.
      if (shown.has(map)) return [];
      shown.add(map);
      const entries = rows.get(map) ?? [];
      const readable = inWords(map, entries, rows, devices)?.toSorted();
      const raw = (): string[] => lines.filter((other) => entryPattern.exec(other)?.[1] === map);
      return readable?.map((words) => `map ${map} ${words}`) ?? raw();
    })
    .join('\n');
}

function inWords(
  map: string,
  entries: readonly DumpedRow[],
  rows: ReadonlyMap<string, readonly DumpedRow[]>,
  devices: ReadonlyMap<number, string>,
): string[] | undefined {
  try {
    switch (map) {
      case mapNames.ipcache:
        return entries.map(ipcacheShown);
      case mapNames.endpoints:
        return entries.map((row) => endpointShown(row, devices));
      case mapNames.services:
        return servicesShown(entries, rows.get(mapNames.backends) ?? []);
      case mapNames.backends:
        return backendsShown(entries);
      case mapNames.revNats:
        return entries.map(revNatShown);
      case mapNames.affinityMatches:
        return entries.map(affinityMatchShown);
      default:
        return undefined;
    }
  } catch {
    // Somebody else's layout, or an older one: the bytes say more than a guess.
    return undefined;
  }
}

function ipcacheShown({ key, value }: DumpedRow): string {
  const { prefix, identity, tunnelEndpoint, encryptKey, remoteCluster } = decodeIpcache(key, value);
  return [
    `${formatPrefix(prefix)} => identity ${identity}`,
    tunnelEndpoint === undefined ? '' : ` tunnel ${tunnelEndpoint}`,
    encryptKey === 0 ? '' : ` key ${encryptKey}`,
    remoteCluster ? ' remote-cluster' : '',
  ].join('');
}

function endpointShown({ key, value }: DumpedRow, devices: ReadonlyMap<number, string>): string {
  const { address, host, endpointId, identity, link, mac, nodeMac } = decodeEndpoint(key, value);
  if (host) return `${address} => host`;
  const device = devices.get(link) ?? `if${link}`;
  return `${address} => endpoint ${endpointId} identity ${identity} dev ${device} mac ${mac} node-mac ${nodeMac}`;
}

/** Names of devices by index, from the lines on links. */
function devicesIn(lines: readonly string[]): ReadonlyMap<number, string> {
  return new Map(
    lines.flatMap((line) => {
      const [, name, index] = /^link (\S+): index (\d+) /.exec(line) ?? [];
      return name === undefined ? [] : [[Number(index), name] as const];
    }),
  );
}

function bytes(hex: string): Buffer {
  return Buffer.from(hex, 'hex');
}
