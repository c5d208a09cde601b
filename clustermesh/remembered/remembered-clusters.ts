import { mkdir, open, readdir, rename, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { isClusterName } from '../wire/index.ts';
import { readCluster, writeCluster } from './cluster-file.ts';
import type { ClusterContent, Recollection } from './remembered-cluster.ts';

export interface RememberedClustersOptions {
  /** Made when it is not there; nothing else may lie in it. */
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** What one cluster may take on disk; 64 MiB unless told. */
  readonly maxBytes?: number;
}

/** The end of a file comes on top of what its records may take. */
const tailBytes = 4096;

/**
 * What this process knew of each remote cluster, one file a cluster, for a next life that cannot reach them. A file is
 * replaced as a whole or not at all; its time says when its content was last known to be true.
 */
export class RememberedClusters {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #maxBytes: number;
  readonly #leftOut = new Map<string, string>();
  /** One file at a time: whoever waits for its turn rests the longer, so that many clusters together take no more than one. */
  readonly #turns = new PQueue({ concurrency: 1 });

  constructor(options: RememberedClustersOptions) {
    this.#directory = options.directory;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
  }

  /** Never throws: what cannot be read is lost, and said in the log. */
  async load(cluster: string): Promise<Recollection> {
    try {
      return { state: 'found', cluster: await readCluster(this.#path(cluster), cluster, this.#maxBytes + tailBytes) };
    } catch (error) {
      if (isMissing(error)) return { state: 'none' };
      this.#log.warn('What was remembered of a remote cluster cannot be used', {
        [fields.cluster]: cluster,
        file: this.#path(cluster),
        [fields.error]: error,
        [fields.hint]: 'Global services are left as they are until the cluster was read',
      });
      return { state: 'lost', reason: error instanceof Error ? error.message : String(error) };
    }
  }

  /**
   * On disk, in place of what was there, before it settles.
   * @param content asked for when it is this cluster's turn
   * @throws what the file system refuses.
   */
  async save(cluster: string, content: () => ClusterContent): Promise<void> {
    await this.#turns.add(() => this.#write(cluster, content()));
  }

  /** What was saved is still so. False when there is no such file any more. */
  async confirm(cluster: string): Promise<boolean> {
    const now = this.#clock.now() / 1000;
    try {
      await utimes(this.#path(cluster), now, now);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
  }

  async forget(cluster: string): Promise<void> {
    this.#leftOut.delete(cluster);
    await this.#remove(this.#path(cluster));
  }

  /** Forgets every cluster that is not in `clusters`. */
  async retain(clusters: ReadonlySet<string>): Promise<void> {
    const names = await readdir(this.#directory).catch((error: unknown) => {
      if (!isMissing(error))
        this.#log.warn('Cannot look at what is remembered of remote clusters', { [fields.error]: error });
      return [];
    });
    for (const name of names) {
      const cluster = name.replace(/\.jsonl(\.new)?$/, '');
      if (cluster === name || !isClusterName(cluster) || (clusters.has(cluster) && name.endsWith('.jsonl'))) continue;
      await this.#remove(join(this.#directory, name));
      if (!clusters.has(cluster))
        this.#log.info('A remote cluster is no longer configured: what was remembered of it is deleted', {
          [fields.cluster]: cluster,
        });
    }
  }

  async #write(cluster: string, content: ClusterContent): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const path = this.#path(cluster);
    const temporary = `${path}.new`;
    try {
      const now = this.#clock.now() / 1000;
      {
        await using file = await open(temporary, 'w', 0o600);
        const written = await writeCluster(file, cluster, content, this.#maxBytes);
        await file.utimes(now, now);
        await file.sync();
        this.#sayLeftOut(cluster, written.leftOut);
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  #path(cluster: string): string {
    return join(this.#directory, `${cluster}.jsonl`);
  }

  async #remove(path: string): Promise<void> {
    try {
      await rm(path, { force: true });
    } catch (error) {
      this.#log.warn('Cannot delete what was remembered of a remote cluster', { file: path, [fields.error]: error });
    }
  }

  #sayLeftOut(cluster: string, kinds: readonly string[]): void {
    const words = kinds.join(', ');
    if (words !== '' && this.#leftOut.get(cluster) !== words)
      this.#log.warn('A remote cluster is too large to be remembered whole', {
        [fields.cluster]: cluster,
        leftOut: words,
        maxBytes: this.#maxBytes,
        file: this.#path(cluster),
      });
    this.#leftOut.set(cluster, words);
  }
}

function isMissing(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';
}
