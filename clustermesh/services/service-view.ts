import { isDeepStrictEqual } from 'node:util';
import { ChangeLog, VersionSource } from '../view/index.ts';
import type {
  ClusterServiceRecord,
  EndpointSliceRecord,
  LocalEndpointsRecord,
  LocalServiceRecord,
} from '../wire/records.ts';
import { mergeServices } from './merge-services.ts';
import { serviceKeyOfSlice } from './remote-slices.ts';
import type { ServiceBackends } from './service-backends.ts';

/** Services of the own cluster with the backends of all clusters, by `<namespace>/<name>`. */
export interface ServiceView {
  readonly version: number;
  /** Computed when asked, from what is known now; undefined when the own cluster has no such Service. */
  get(key: string): ServiceBackends | undefined;
  /** Keys of the Services of the own cluster. */
  keys(): Iterable<string>;
  /** Shared services that `cluster` offers, whether a local Service uses them or not. */
  offeredBy(cluster: string): Iterable<ClusterServiceRecord>;
  /** EndpointSlices of such services that `cluster` offers, where those are read. */
  slicesOf(cluster: string): Iterable<EndpointSliceRecord>;
  /** Keys whose backends may have changed; undefined when `version` is too old to tell: look at all. */
  changedSince(version: number): { readonly version: number; readonly keys: readonly string[] | undefined };
  /** Settles when the version is beyond `version`. */
  changed(version: number, signal: AbortSignal): Promise<void>;
}

/** What the own cluster's store says. Removing what is not there does nothing. */
export interface LocalServiceWriter {
  upsertService(record: LocalServiceRecord): void;
  removeService(key: string): void;
  upsertEndpoints(record: LocalEndpointsRecord): void;
  /** `key` is `<namespace>/<service>/<slice>`. */
  removeEndpoints(key: string): void;
}

/** What one remote cluster says. */
export interface RemoteServiceWriter {
  upsert(record: ClusterServiceRecord): void;
  remove(key: string): void;
  has(key: string): boolean;
  drain(): void;
}

/** What one remote cluster says by EndpointSlices, by `<namespace>/<slice>`. */
export interface RemoteSliceWriter {
  upsert(record: EndpointSliceRecord): void;
  remove(key: string): void;
  has(key: string): boolean;
}

interface Known {
  service: LocalServiceRecord | undefined;
  readonly slices: Map<string, LocalEndpointsRecord>;
  readonly remotes: Map<string, ClusterServiceRecord>;
  /** By `<cluster>/<slice>`. */
  readonly remoteSlices: Map<string, EndpointSliceRecord>;
}

/**
 * Everything that the store and the remote clusters say about services, by name, with a log of what changed. Backends of
 * remote clusters are remembered also while no local Service of their name exists: it may come later.
 */
export class ServiceTable implements ServiceView {
  readonly #ownCluster: string;
  readonly #known = new Map<string, Known>();
  /** Slices of remote clusters by cluster and key, whether they belong to a Service or not. */
  readonly #slices = new Map<string, Map<string, EndpointSliceRecord>>();
  readonly #versions = new VersionSource();
  readonly #log: ChangeLog<string>;

  constructor(options: { readonly ownCluster: string; readonly logCapacity?: number }) {
    this.#ownCluster = options.ownCluster;
    this.#log = new ChangeLog(options.logCapacity ?? 16_384);
  }

  get version(): number {
    return this.#versions.version;
  }

  get(key: string): ServiceBackends | undefined {
    const known = this.#known.get(key);
    if (!known?.service) return undefined;
    const { service, slices, remotes, remoteSlices } = known;
    return mergeServices(
      this.#ownCluster,
      service,
      [...slices.values()],
      [...remotes.values()],
      [...remoteSlices.values()],
    );
  }

  *keys(): Iterable<string> {
    for (const [key, known] of this.#known) if (known.service) yield key;
  }

  *offeredBy(cluster: string): Iterable<ClusterServiceRecord> {
    for (const known of this.#known.values()) {
      const record = known.remotes.get(cluster);
      if (record) yield record;
    }
  }

  slicesOf(cluster: string): Iterable<EndpointSliceRecord> {
    return this.#slices.get(cluster)?.values() ?? [];
  }

  changedSince(version: number): { readonly version: number; readonly keys: readonly string[] | undefined } {
    const keys = this.#log.since(version);
    return { version: this.version, keys: keys && [...keys] };
  }

  changed(version: number, signal: AbortSignal): Promise<void> {
    return this.#versions.changed(version, signal);
  }

  local(): LocalServiceWriter {
    return {
      upsertService: (record) => {
        const key = `${record.namespace}/${record.name}`;
        const known = this.#entry(key);
        if (isDeepStrictEqual(known.service, record)) return;
        known.service = record;
        this.#changed(key);
      },
      removeService: (key) => this.#forget(key, (known) => (known.service = undefined)),
      upsertEndpoints: (record) => {
        const key = `${record.namespace}/${record.service}`;
        const { slices } = this.#entry(key);
        if (isDeepStrictEqual(slices.get(record.slice), record)) return;
        slices.set(record.slice, record);
        this.#changed(key);
      },
      removeEndpoints: (key) => {
        const cut = key.lastIndexOf('/');
        this.#forget(key.slice(0, cut), (known) => known.slices.delete(key.slice(cut + 1)));
      },
    };
  }

  /** `shared: false` counts as withdrawn. */
  remote(cluster: string): RemoteServiceWriter {
    const remove = (key: string): void => this.#forget(key, (known) => known.remotes.delete(cluster));
    return {
      upsert: (record) => {
        const key = `${record.namespace}/${record.name}`;
        if (!record.shared) {
          if (this.#known.get(key)?.remotes.has(cluster)) remove(key);
          return;
        }
        const { remotes } = this.#entry(key);
        if (isDeepStrictEqual(remotes.get(cluster), record)) return;
        remotes.set(cluster, record);
        this.#changed(key);
      },
      remove,
      has: (key) => this.#known.get(key)?.remotes.has(cluster) === true,
      drain: () => {
        for (const [key, known] of this.#known) if (known.remotes.has(cluster)) remove(key);
      },
    };
  }

  /** A slice may move from one Service to another: it is known by its own name. */
  remoteSlices(cluster: string): RemoteSliceWriter {
    const place = (record: EndpointSliceRecord): string => `${cluster}/${record.name}`;
    const leave = (record: EndpointSliceRecord): void => {
      const key = serviceKeyOfSlice(record);
      if (key !== undefined) this.#forget(key, (known) => known.remoteSlices.delete(place(record)));
    };
    return {
      upsert: (record) => {
        const all = this.#slices.get(cluster) ?? new Map<string, EndpointSliceRecord>();
        this.#slices.set(cluster, all);
        const before = all.get(`${record.namespace}/${record.name}`);
        if (before && isDeepStrictEqual(before, record)) return;
        all.set(`${record.namespace}/${record.name}`, record);
        const key = serviceKeyOfSlice(record);
        if (before && serviceKeyOfSlice(before) !== key) leave(before);
        if (key === undefined) return;
        this.#entry(key).remoteSlices.set(place(record), record);
        this.#changed(key);
      },
      has: (key) => this.#slices.get(cluster)?.has(key) === true,
      remove: (key) => {
        const all = this.#slices.get(cluster);
        const record = all?.get(key);
        if (!all || !record) return;
        all.delete(key);
        if (all.size === 0) this.#slices.delete(cluster);
        leave(record);
      },
    };
  }

  #entry(key: string): Known {
    const known = this.#known.get(key) ?? {
      service: undefined,
      slices: new Map(),
      remotes: new Map(),
      remoteSlices: new Map(),
    };
    this.#known.set(key, known);
    return known;
  }

  #forget(key: string, change: (known: Known) => void): void {
    const known = this.#known.get(key);
    if (!known) return;
    change(known);
    const { service, slices, remotes, remoteSlices } = known;
    if (!service && slices.size + remotes.size + remoteSlices.size === 0) this.#known.delete(key);
    this.#changed(key);
  }

  #changed(key: string): void {
    this.#log.record(this.#versions.next(), key);
  }
}
