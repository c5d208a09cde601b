import { type Datapath, type MapName, mapNames, openDatapath } from '../../../datapath/index.ts';
import { decodeIpcache } from '../../../datapath/ipcache/index.ts';
import { backendValue, serviceKey, serviceValue } from '../../../datapath/services/index.ts';
import { silentLogger } from '../../../runtime/log/index.ts';
import { formatPrefix } from '../../../values/ip/index.ts';
import type { Place } from './suite.ts';
import type { BpfMap } from '../../../kernel/index.ts';

/** The node's datapath with small maps. */
export function openOn(place: Place): Promise<Datapath> {
  return openDatapath({
    kernel: place.kernel,
    log: silentLogger,
    pinDirectory: place.pinDirectory,
    overlayLink: place.overlayLink,
    nodeAddress: '172.30.1.2',
    maxEntries: { nat: 1024, natReverse: 1024, reverseSockets: 1024, affinity: 1024 },
  });
}

/** Opens a pinned map of the datapath, as another program would. */
export function rawMap(place: Place, name: MapName): BpfMap & Disposable {
  const map = place.kernel.bpf.openMap(`${place.pinDirectory}/${mapNames[name]}`);
  if (!map) throw new Error(`No pinned map ${name}`);
  return map;
}

/** Rows of a map as hexadecimal text, sorted. */
export async function rowsOf(place: Place, name: MapName): Promise<readonly string[]> {
  using map = rawMap(place, name);
  const rows: string[] = [];
  await map.dump((key, value) =>
    rows.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`),
  );
  return rows.sort();
}

/** `10.1.0.1/32 is 300 via 172.30.2.2` */
export async function ipcacheOf(place: Place): Promise<readonly string[]> {
  using map = rawMap(place, 'ipcache');
  const lines: string[] = [];
  await map.dump((key, value) => {
    const { prefix, identity, tunnelEndpoint } = decodeIpcache(Buffer.from(key), Buffer.from(value));
    lines.push(`${formatPrefix(prefix)} is ${identity}${tunnelEndpoint === undefined ? '' : ` via ${tunnelEndpoint}`}`);
  });
  return lines.sort();
}

/** `10.96.0.1:80/6 → 10.1.0.1:8080, 10.1.0.2:8080`: every service as a program would find it. */
export async function servicesOf(place: Place): Promise<readonly string[]> {
  using services = rawMap(place, 'services');
  using backends = rawMap(place, 'backends');
  const masters: { readonly key: Buffer; readonly count: number }[] = [];
  await services.dump((key, value) => {
    if (serviceKey.decode(Buffer.from(key)).slot === 0)
      masters.push({ key: Buffer.from(key), count: serviceValue.decode(Buffer.from(value)).count });
  });
  const lines = masters.map(({ key, count }) => {
    const { address, port, protocol } = serviceKey.decode(key);
    const found = Array.from({ length: count }, (_, i) => {
      const slotKey = Buffer.from(key);
      slotKey.writeUInt16LE(i + 1, serviceKey.fields.slot.offset);
      const slot = services.lookup(slotKey);
      if (!slot) return 'a slot is missing';
      const id = Buffer.from(slot).subarray(0, 4);
      const backend = backends.lookup(id);
      if (!backend) return 'a backend is missing';
      const decoded = backendValue.decode(Buffer.from(backend));
      return `${decoded.address}:${decoded.port}${decoded.state === 0 ? '' : ' terminating'}`;
    });
    return `${address}:${port}/${protocol} → ${found.sort().join(', ')}`;
  });
  return lines.sort();
}
