import { type Logger, silentLogger } from '../../runtime/log/index.ts';
import type {
  DeleteRangeRequest,
  DeleteRangeResponse,
  Engine,
  PutRequest,
  PutResponse,
  RangeRequest,
  RangeResponse,
  Reader,
  TxnRequest,
  TxnResponse,
} from '../contract/index.ts';
import {
  type AutoCompaction,
  MvccEngine,
  type MvccEngineDependencies,
  type MvccEngineOptions,
  compactAutomatically,
} from '../engine/index.ts';
import { LmdbBackend } from './lmdb-backend.ts';
import { isDamage } from './lmdb-error.ts';
import { openLog } from './open-log.ts';
import { damaged } from './table-file.ts';
import { closeTables, openTables } from './tables.ts';
import type { WriteAheadLog } from './wal/index.ts';
import type { Tables } from './table-types.ts';

export interface EmbeddedEngineOptions extends MvccEngineOptions, MvccEngineDependencies {
  /** Made when absent; one process at a time. */
  readonly directory: string;
  /** How history is forgotten; by age of five minutes unless told. */
  readonly autoCompaction?: AutoCompaction;
  /** Bytes in use from which on puts are refused with etcd's "database space exceeded". Default 2 GiB. */
  readonly quotaBytes?: number;
}

const defaultAutoCompaction: AutoCompaction = { mode: 'age', retentionMs: 5 * 60_000 };

/**
 * Opens the embedded store in a directory: etcd's semantics on LMDB, durable before every answer.
 * @throws {StoreDirectoryError} when the directory is in use, cannot be locked, is foreign, of another format, or damaged.
 */
export async function openEmbeddedEngine(options: EmbeddedEngineOptions): Promise<Engine> {
  const log = options.log ?? silentLogger;
  const tables = await openTables(options.directory, options.clock);
  const backend = new LmdbBackend(tables, {
    log: await openLogOf(tables),
    clock: options.clock,
    ...(options.quotaBytes === undefined ? {} : { quotaBytes: options.quotaBytes }),
    report: (message, error) => log.error(message, { error, directory: options.directory }),
  });
  return new EmbeddedEngine(backend, options);
}

async function openLogOf(tables: Tables): Promise<WriteAheadLog> {
  try {
    return openLog(tables);
  } catch (error) {
    await closeTables(tables);
    throw error;
  }
}

class EmbeddedEngine extends MvccEngine {
  readonly #backend: LmdbBackend;
  readonly #directory: string;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #compacting: Promise<void>;

  constructor(backend: LmdbBackend, options: EmbeddedEngineOptions) {
    super(backend, options, options);
    this.#backend = backend;
    this.#directory = options.directory;
    this.#log = options.log ?? silentLogger;
    const policy = options.autoCompaction ?? defaultAutoCompaction;
    this.#compacting = compactAutomatically(this, policy, options, this.#stopping.signal);
  }

  override range(request: RangeRequest, reader?: Reader): Promise<RangeResponse> {
    return this.#sound(super.range(request, reader));
  }

  override put(request: PutRequest): Promise<PutResponse> {
    return this.#sound(super.put(request));
  }

  override deleteRange(request: DeleteRangeRequest): Promise<DeleteRangeResponse> {
    return this.#sound(super.deleteRange(request));
  }

  override txn(request: TxnRequest, reader?: Reader): Promise<TxnResponse> {
    return this.#sound(super.txn(request, reader));
  }

  /** Who meets pages that LMDB cannot have written ends the store: what else is wrong nobody knows. */
  async #sound<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      if (!isDamage(error)) throw error;
      const cause = damaged(this.#directory, error instanceof Error ? error.message : String(error), { cause: error });
      this.#log.error('The store is damaged', { error: cause });
      throw this.#backend.fail(cause);
    }
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new DOMException('The engine was closed', 'AbortError'));
    await this.#compacting;
    await super[Symbol.asyncDispose]();
  }
}
