import { isDeepStrictEqual } from 'node:util';
import { ChangeLog, VersionSource } from '../view/index.ts';
import type { ClusterServiceRecord, LocalEndpointsRecord, LocalServiceRecord } from '../wire/records.ts';
import { mergeServices } from './merge-services.ts';
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
  drain(): void;
}

interface Known {
  service: LocalServiceRecord | undefined;
  readonly slices: Map<string, LocalEndpointsRecord>;
  readonly remotes: Map<string, ClusterServiceRecord>;
}

/**
 * Everything that the store and the remote clusters say about services, by name, with a log of what changed. Backends of
 * remote clusters are remembered also while no local Service of their name exists: it may come later.
 */
export class ServiceTable implements ServiceView {
  readonly #ownCluster: string;
  readonly #known = new Map<string, Known>();
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
    return mergeServices(this.#ownCluster, known.service, [...known.slices.values()], [...known.remotes.values()]);
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
      drain: () => {
        for (const [key, known] of this.#known) if (known.remotes.has(cluster)) remove(key);
      },
    };
  }

  #entry(key: string): Known {
    const known = this.#known.get(key) ?? { service: undefined, slices: new Map(), remotes: new Map() };
    this.#known.set(key, known);
    return known;
  }

  #forget(key: string, change: (known: Known) => void): void {
    const known = this.#known.get(key);
    if (!known) return;
    change(known);
    if (!known.service && known.slices.size === 0 && known.remotes.size === 0) this.#known.delete(key);
    this.#changed(key);
  }

  #changed(key: string): void {
    this.#log.record(this.#versions.next(), key);
  }
}
