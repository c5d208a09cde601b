import { ApiError } from '../../runtime/serve/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { reservedIdentities } from '../../values/identity/index.ts';
import type { IpAddress } from '../../values/ip/index.ts';
import type { WorkloadRecord } from '../../clustermesh/index.ts';
import type { Link } from '../../kernel/index.ts';
import type { EndpointFile } from './endpoint-file.ts';
import type { EndpointRequest } from './endpoint-request.ts';
import type { EndpointTable } from './endpoint-table.ts';
import { type NodeEndpoint, endpointKey } from './node-endpoint.ts';

export interface EndpointManagerDeps {
  readonly table: EndpointTable;
  readonly file: EndpointFile;
  readonly network: { link(name: string): Promise<Link | undefined>; links(): Promise<readonly Link[]> };
  readonly datapath: {
    attachEndpoint(link: number): Promise<void>;
    detachEndpoint(link: number): Promise<void>;
    keepEndpoints(links: ReadonlySet<number>): Promise<void>;
  };
  /** What the cluster says of a pod of this node. */
  readonly workload: (key: string) => WorkloadRecord | undefined;
  /** Settles when the datapath's tables hold what the endpoint table says. */
  readonly programmed: () => Promise<void>;
  readonly log: Logger;
}

export interface RestoredEndpoints {
  /** No agent has run on this node since it booted. */
  readonly fresh: boolean;
  readonly restored: number;
  /** Endpoints whose devices no longer exist. */
  readonly gone: readonly string[];
}

/**
 * Adds and removes endpoints, one request after the other. An accepted endpoint is on disk and in the datapath before the
 * caller has its answer.
 */
export class EndpointManager {
  readonly #deps: EndpointManagerDeps;
  #turn: Promise<unknown> = Promise.resolve();
  #lastId = 0;
  /** Numbers of endpoints of an earlier life whose devices had gone: they are the same ones when they come back. */
  readonly #formerIds = new Map<string, number>();
  /** What the table holds is not on disk: a write failed. */
  #unsaved = false;

  constructor(deps: EndpointManagerDeps) {
    this.#deps = deps;
  }

  /** The same request twice is the same endpoint. @throws {ApiError} */
  put(request: EndpointRequest): Promise<NodeEndpoint> {
    return this.#inTurn(() => this.#put(request));
  }

  /** Undefined when there was none: removing twice is no error. */
  delete(key: string): Promise<NodeEndpoint | undefined> {
    return this.#inTurn(() => this.#delete(key));
  }

  /**
   * Takes over what an earlier life of this agent left, before anything else: the programs of its endpoints go on
   * running, identities and numbers stay. An endpoint whose device has gone is dropped.
   */
  restore(): Promise<RestoredEndpoints> {
    return this.#inTurn(() => this.#restore());
  }

  /** The cluster said something new of a workload: its endpoint, if it is here, follows. */
  workloadChanged(key: string): Promise<void> {
    return this.#inTurn(async () => {
      const endpoint = this.#deps.table.get(key);
      if (endpoint && this.#deps.table.set(this.#withWorkload(endpoint, this.#deps.workload(key)))) await this.#save();
    });
  }

  async #put(request: EndpointRequest): Promise<NodeEndpoint> {
    const { table, network, datapath, programmed, workload } = this.#deps;
    const key = endpointKey(request);
    const before = table.get(key);
    const link = await network.link(request.link);
    if (!link) throw new ApiError(409, 'NO_SUCH_LINK', `There is no device ${request.link} in this node`);
    const assigned = workload(key);
    const ips = request.ips.length > 0 ? request.ips : (assigned?.ips ?? []);
    if (ips.length === 0)
      throw new ApiError(409, 'NO_ADDRESS', `${key} has no address: none is given, and the cluster assigned none`);
    this.#refuseConflicts(key, ips, link);
    const endpointId = before?.endpointId ?? this.#formerId(key) ?? table.freeId(this.#lastId);
    this.#lastId = Math.max(this.#lastId, endpointId);
    const endpoint = this.#withWorkload(
      {
        namespace: request.namespace,
        name: request.name,
        endpointId,
        ips,
        link: link.name,
        linkIndex: link.index,
        mac: request.mac,
        nodeMac: request.nodeMac ?? link.mac,
        identity: before?.identity ?? reservedIdentities.init,
        serviceAccount: before?.serviceAccount ?? '',
        namedPorts: before?.namedPorts ?? [],
        ...(before?.hidden ? { hidden: true } : {}),
      },
      assigned,
    );
    if (before && before.linkIndex !== link.index) await datapath.detachEndpoint(before.linkIndex);
    if (table.set(endpoint) || this.#unsaved) await this.#save();
    await programmed();
    await datapath.attachEndpoint(link.index);
    return endpoint;
  }

  async #delete(key: string): Promise<NodeEndpoint | undefined> {
    const { table, datapath, programmed } = this.#deps;
    const before = table.delete(key);
    if (!before) return undefined;
    await this.#save();
    await datapath.detachEndpoint(before.linkIndex);
    await programmed();
    return before;
  }

  #formerId(key: string): number | undefined {
    const id = this.#formerIds.get(key);
    this.#formerIds.delete(key);
    return this.#deps.table.list().some(({ endpointId }) => endpointId === id) ? undefined : id;
  }

  async #restore(): Promise<RestoredEndpoints> {
    const { table, file, network, datapath, log } = this.#deps;
    const found = await file.read();
    const left = found ?? [];
    const links = new Map((await network.links()).map((link) => [link.name, link]));
    const gone: string[] = [];
    for (const endpoint of left) {
      const link = links.get(endpoint.link);
      this.#lastId = Math.max(this.#lastId, endpoint.endpointId);
      if (!link || link.index !== endpoint.linkIndex) {
        gone.push(endpointKey(endpoint));
        this.#formerIds.set(endpointKey(endpoint), endpoint.endpointId);
        continue;
      }
      table.set(endpoint);
      await datapath.attachEndpoint(link.index);
    }
    await datapath.keepEndpoints(new Set(table.list().map(({ linkIndex }) => linkIndex)));
    if (gone.length > 0) {
      log.warn('Endpoints of an earlier life have gone: their devices no longer exist', {
        endpoints: gone,
        [fields.count]: gone.length,
      });
    }
    await this.#save();
    return { fresh: found === undefined, restored: table.size, gone };
  }

  #refuseConflicts(key: string, ips: readonly IpAddress[], link: Link): void {
    for (const ip of ips) {
      const holder = this.#deps.table.at(ip);
      if (holder && endpointKey(holder) !== key)
        throw new ApiError(409, 'ADDRESS_IN_USE', `Address ${ip} belongs to ${endpointKey(holder)}`);
    }
    const holder = this.#deps.table.list().find((other) => other.linkIndex === link.index);
    if (holder && endpointKey(holder) !== key)
      throw new ApiError(409, 'LINK_IN_USE', `Device ${link.name} belongs to ${endpointKey(holder)}`);
  }

  /** A workload that is not known (any more) leaves the endpoint as it was: the store may only be late. */
  #withWorkload(endpoint: NodeEndpoint, workload: WorkloadRecord | undefined): NodeEndpoint {
    if (!workload) return endpoint;
    const { hidden: _, ...rest } = endpoint;
    return {
      ...rest,
      identity: workload.identity === 0 ? endpoint.identity : workload.identity,
      serviceAccount: workload.serviceAccount,
      namedPorts: workload.namedPorts,
      ...(workload.hidden ? { hidden: true } : {}),
    };
  }

  async #save(): Promise<void> {
    this.#unsaved = true;
    await this.#deps.file.write(this.#deps.table.list());
    this.#unsaved = false;
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(task, task);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}
