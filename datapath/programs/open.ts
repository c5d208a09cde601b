import { rmSync } from 'node:fs';
import {
  type BpfObject,
  type BpfObjectSpec,
  type Kernel,
  KernelError,
  PinnedMapError,
} from '../../kernel/ports/index.ts';
import { type Logger, fields as logFields } from '../../runtime/log/index.ts';
import { type IpAddress, parseIp } from '../../values/ip/index.ts';
import { type Counter, type DropReason, type ForwardEvent, readDrops, readForwards } from '../drops/index.ts';
import { type EndpointEntry, openEndpoints } from '../endpoints/index.ts';
import { type IpcacheEntry, openIpcache } from '../ipcache/index.ts';
import { ServiceDriver, type ServiceEntry } from '../services/index.ts';
import type { TableDriver } from '../table/index.ts';
import { Attachments } from './attachments.ts';
import { type MapName, mapNames } from './maps.ts';
import { defaultNatPorts, nodeConfig } from './node-config.ts';
import { objectPath } from './object-path.ts';
import { cgroupPrograms } from './cgroup-programs.ts';
import { type MapUsage, readUsage } from './usage.ts';

export interface DatapathOptions {
  readonly kernel: Kernel;
  readonly log: Logger;
  /** A directory of this node on a bpffs. Maps and attachments in it are taken over. */
  readonly pinDirectory: string;
  /** cgroup v2 directory of the processes that get services at the socket level; absent: tc level only. */
  readonly cgroup?: string;
  /** Index of the overlay device. */
  readonly overlayLink: number;
  /** The node's underlay address (IPv4). */
  readonly nodeAddress: IpAddress;
  /** Source ports that services at the tc level may use; pods must not use them by themselves. */
  readonly natPorts?: { readonly min: number; readonly max: number };
  /** Sizes of maps other than the compiled ones. A pinned map of another size starts anew, empty. */
  readonly maxEntries?: Partial<Readonly<Record<MapName, number>>>;
}

/** The datapath of one node: its programs run, its tables can be written. */
export interface Datapath extends AsyncDisposable {
  readonly ipcache: TableDriver<IpcacheEntry>;
  readonly endpoints: TableDriver<EndpointEntry>;
  /** Services by `address:port/PROTOCOL`. */
  readonly services: TableDriver<ServiceEntry>;
  /** True when services work at the socket level for processes in the cgroup. */
  readonly socketLevel: boolean;
  /** Runs the programs of an endpoint on the host-side device of its veth. Does nothing when they run already. */
  attachEndpoint(link: number): Promise<void>;
  detachEndpoint(link: number): Promise<void>;
  /** Detaches every endpoint but these, also those that an earlier process attached. */
  keepEndpoints(links: ReadonlySet<number>): Promise<void>;
  /** Refused packets and calls since the maps were made, by reason; zeros included. */
  dropCounters(): readonly Counter<DropReason>[];
  forwardCounters(): readonly Counter<ForwardEvent>[];
  /** Entries of every map that can fill up. Reads all of them: not for every second. */
  mapUsage(): Promise<readonly MapUsage[]>;
  /** Ends every program, for a node that leaves. Disposing of the datapath leaves all of them running. */
  detachAll(): Promise<void>;
}

/**
 * Loads the programs and takes over what an earlier process left in `pinDirectory`, without a moment in which a packet
 * meets no program.
 * @throws {KernelError} with the verifier's log.
 */
export async function openDatapath(options: DatapathOptions): Promise<Datapath> {
  const object = await load(options, {
    path: objectPath('node'),
    rodata: nodeConfig.bytes({
      overlayLink: options.overlayLink,
      nodeAddress: parseIp(options.nodeAddress),
      natPortMin: options.natPorts?.min ?? defaultNatPorts.min,
      natPortMax: options.natPorts?.max ?? defaultNatPorts.max,
      pad: 0,
    }),
    maxEntries: Object.fromEntries(
      Object.entries(options.maxEntries ?? {}).map(([name, size]) => [mapNames[name as MapName], size]),
    ),
    pinDirectory: options.pinDirectory,
  });
  const attachments = new Attachments(object, options.pinDirectory);
  try {
    await attachments.sweep(options.kernel);
    await attachments.attach('from_overlay', { type: 'tc', link: options.overlayLink, direction: 'ingress' });
    await attachments.attach('host_to_overlay', { type: 'tc', link: options.overlayLink, direction: 'egress' });
    const socketLevel = await attachSockets(attachments, options);
    return datapathOf(object, attachments, socketLevel);
  } catch (error) {
    attachments[Symbol.dispose]();
    object[Symbol.dispose]();
    throw error;
  }
}

/**
 * Loads the object. A pinned map of another shape (an earlier version, another size) is let go: running programs keep
 * it until they are replaced, and the tables start empty, to be filled by the first audit.
 */
async function load({ kernel, log }: DatapathOptions, spec: BpfObjectSpec): Promise<BpfObject> {
  const dropped = new Set<string>();
  for (;;) {
    try {
      return await kernel.bpf.load(spec);
    } catch (error) {
      if (!(error instanceof PinnedMapError) || dropped.has(error.path)) throw error;
      log.warn('A pinned map has another shape and starts anew', {
        [logFields.key]: error.path,
        [logFields.hint]: 'pod traffic of this node pauses until the tables are written',
      });
      dropped.add(error.path);
      rmSync(error.path, { force: true });
    }
  }
}

/** True when services work at the socket level. */
async function attachSockets(attachments: Attachments, { cgroup, log }: DatapathOptions): Promise<boolean> {
  if (cgroup === undefined) return false;
  try {
    for (const { program, attach } of cgroupPrograms)
      await attachments.attach(program, { type: 'cgroup', path: cgroup, attach });
    return true;
  } catch (error) {
    if (!(error instanceof KernelError && error.code === 'EPERM')) throw error;
    log.warn('Services work at the tc level only', {
      [logFields.error]: error,
      [logFields.hint]: `another program is attached exclusively to ${cgroup} or to a cgroup above it`,
    });
    return false;
  }
}

function datapathOf(object: BpfObject, attachments: Attachments, socketLevel: boolean): Datapath {
  const map = (name: MapName) => object.map(mapNames[name]);
  return {
    ipcache: openIpcache(map('ipcache')),
    endpoints: openEndpoints(map('endpoints')),
    services: new ServiceDriver({
      services: map('services'),
      backends: map('backends'),
      revNats: map('revNats'),
      matches: map('affinityMatches'),
    }),
    socketLevel,
    attachEndpoint: (link) => attachments.attachEndpoint(link),
    detachEndpoint: (link) => attachments.detachEndpoint(link),
    keepEndpoints: (links) => attachments.keepEndpoints(links),
    dropCounters: () => readDrops(map('drops')),
    forwardCounters: () => readForwards(map('forward')),
    mapUsage: () => readUsage(map),
    detachAll: () => attachments.detachAll(),
    [Symbol.asyncDispose]: async () => {
      attachments[Symbol.dispose]();
      object[Symbol.dispose]();
    },
  };
}
