import { decodeRow, logKey, readLogKey } from './row-codec.ts';
import { metaKeys } from './meta.ts';
import type { LmdbView } from './lmdb-view.ts';
import type { TableWrite, Tables } from './table-types.ts';

/** Rows of the log looked at per commit: a commit in which others wait must stay short. */
const sliceRows = 200;

export interface SweeperOptions {
  readonly tables: Pick<Tables, 'log' | 'dead' | 'meta'>;
  readonly view: Pick<LmdbView, 'newestId'>;
  readonly compacted: () => number;
  /** How far of what is compacted may be removed: others stay for those who hold them. */
  readonly within: (compacted: number) => number;
  /** Settles when the tables have all that is in the log. */
  readonly ready: () => Promise<void>;
  readonly commit: (writes: readonly TableWrite[]) => Promise<void>;
  readonly failed: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/**
 * Removes what a compaction made unreachable, in slices that ride on ordinary commits. A row of the log below or at the
 * compaction revision makes its predecessor unreachable; a deletion below it is itself unreachable. The place to go on
 * from is part of each commit, and removing twice does no harm: a crash costs at most one slice.
 */
export class Sweeper {
  readonly #options: SweeperOptions;
  #running: Promise<void> | undefined;
  #wanted = false;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** More may be removed than before. */
  start(): void {
    if (this.#options.signal.aborted) return;
    this.#wanted = true;
    this.#running ??= this.#run();
  }

  async idle(): Promise<void> {
    await this.#running;
  }

  async #run(): Promise<void> {
    const { ready, commit, failed, signal } = this.#options;
    try {
      while (this.#wanted) {
        this.#wanted = false;
        await ready();
        for (let writes = this.#slice(); writes.length > 0; writes = this.#slice()) {
          await commit(writes);
          await new Promise<void>((resolve) => setImmediate(resolve));
        }
      }
    } catch (error) {
      // The place to go on from is stored: the next compaction, or the next start, takes it up.
      if (!signal.aborted) failed(error);
    } finally {
      this.#running = undefined;
    }
  }

  #slice(): TableWrite[] {
    const { tables, view, within, signal } = this.#options;
    signal.throwIfAborted();
    const { log, dead, meta } = tables;
    const from = meta.get(metaKeys.sweep);
    if (!from) return [];
    const compacted = this.#options.compacted();
    const swept = within(compacted);
    const held = swept < compacted;
    // Up to there it was swept before, and deletions at it stay for now.
    if (held && readLogKey(from).revision >= swept) return [];
    const goOn = { table: meta, key: metaKeys.sweep, value: logKey({ revision: swept, sub: 0 }) };
    const writes: TableWrite[] = [];
    let looked = 0;
    for (const { key, value } of log.getRange({ start: from })) {
      const id = readLogKey(key);
      if (id.revision > swept) break;
      if (looked++ === sliceRows)
        return [...writes, held && id.revision === swept ? goOn : { table: meta, key: metaKeys.sweep, value: key }];
      const row = decodeRow(value);
      if (row.previous.revision > 0) writes.push({ table: log, key: logKey(row.previous) });
      if (!row.deleted || id.revision >= swept) continue;
      writes.push({ table: log, key });
      const newest = view.newestId(row.kv.key);
      if (newest.revision === id.revision && newest.sub === id.sub)
        writes.push({ table: dead, key: Buffer.from(row.kv.key) });
    }
    // Nothing is left below the compaction revision; the next compaction begins at this one, whose deletions were kept.
    return [...writes, held ? goOn : { table: meta, key: metaKeys.sweep }];
  }
}
