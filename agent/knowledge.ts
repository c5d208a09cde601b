import { formatPrefix, hostPrefix } from '../values/ip/index.ts';
import {
  type MeshView,
  type NodeAssignmentRecord,
  ServiceTable,
  type WorkloadRecord,
  createMeshView,
} from '../clustermesh/index.ts';
import type { EndpointEntry, IpcacheEntry, ServiceEntry } from '../datapath/index.ts';
import type { NodeRoute } from '../tunnel/index.ts';
import {
  NodePrefixes,
  NodeRoutes,
  type OwnNode,
  endpointEntry,
  hostEntry,
  ipcacheEntry,
  serviceEntries,
} from './desired/index.ts';
import { EndpointTable } from './endpoints/index.ts';

/** What takes note of things that may have changed. */
export interface Marks {
  mark(name: string): void;
  markAll(): void;
}

/**
 * Everything that this agent knows, and what follows from it for its node: the seam between the mesh's words and the
 * kernel's. Nothing here waits or acts.
 */
export class Knowledge {
  readonly own: OwnNode;
  readonly view: MeshView;
  readonly services: ServiceTable;
  readonly endpoints = new EndpointTable();
  readonly workloads = new Map<string, WorkloadRecord>();
  assignment: NodeAssignmentRecord | undefined;
  readonly #prefixes: NodePrefixes;
  readonly #routes: NodeRoutes;
  #seenMesh = 0;
  #seenServices = 0;

  constructor(own: OwnNode) {
    this.own = own;
    this.view = createMeshView({ ownCluster: own.cluster });
    this.services = new ServiceTable({ ownCluster: own.cluster });
    this.#prefixes = new NodePrefixes(own);
    this.#routes = new NodeRoutes(own);
  }

  /** Marks what changed in mesh view and services since the last call. */
  collect(marks: { readonly ipcache: Marks; readonly services: Marks; readonly routes: Pick<Marks, 'mark'> }): void {
    const mesh = this.view.changedSince(this.#seenMesh);
    this.#seenMesh = mesh.version;
    const nodes = mesh.complete ? mesh.nodes : this.#allNodeKeys();
    for (const key of nodes) {
      const node = this.view.nodeByKey(key);
      for (const prefix of this.#prefixes.set(key, node)) marks.ipcache.mark(prefix);
      for (const destination of this.#routes.set(key, node)) marks.routes.mark(destination);
    }
    if (mesh.complete) for (const prefix of mesh.ips) marks.ipcache.mark(prefix);
    else marks.ipcache.markAll();
    const services = this.services.changedSince(this.#seenServices);
    this.#seenServices = services.version;
    if (services.keys) for (const key of services.keys) marks.services.mark(key);
    else marks.services.markAll();
  }

  ipcacheEntry(prefix: string): IpcacheEntry | undefined {
    const address = hostAddressOf(prefix);
    const known = {
      local: address === undefined ? undefined : this.endpoints.at(address),
      ip: this.view.ipRow(prefix),
      node: this.#prefixes.get(prefix),
    };
    return ipcacheEntry(prefix, known, this.own);
  }

  *ipcacheKeys(): Iterable<string> {
    yield* this.view.ipPrefixes();
    yield* this.#prefixes.prefixes();
    for (const address of this.endpoints.addresses()) yield formatPrefix(hostPrefix(address));
  }

  endpointEntry(address: string): EndpointEntry | undefined {
    if (address === this.own.ip) return hostEntry(address);
    const endpoint = this.endpoints.at(address);
    return endpoint && endpointEntry(address, endpoint);
  }

  *endpointKeys(): Iterable<string> {
    yield this.own.ip;
    yield* this.endpoints.addresses();
  }

  serviceEntries(key: string): readonly ServiceEntry[] {
    const known = this.services.get(key);
    return known ? serviceEntries(known, this.own) : [];
  }

  isGlobal(key: string): boolean {
    return this.services.get(key)?.settings.global ?? false;
  }

  route(destination: string, device: { readonly name: string; readonly mtu: number }): NodeRoute | undefined {
    return this.#routes.get(destination, device);
  }

  routeDestinations(): Iterable<string> {
    return this.#routes.destinations();
  }

  #allNodeKeys(): string[] {
    const present = [...this.view.nodes()].map(({ cluster, name }) => `${cluster}/${name}`);
    return [...new Set([...this.#prefixes.nodeKeys(), ...present])];
  }
}

/** The address that a host prefix stands for; undefined for a block. */
function hostAddressOf(prefix: string): string | undefined {
  const cut = prefix.lastIndexOf('/');
  const address = prefix.slice(0, cut);
  return prefix.slice(cut + 1) === (address.includes(':') ? '128' : '32') ? address : undefined;
}
