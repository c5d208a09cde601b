import { type Logger, fields, silentLogger } from '../../runtime/log/index.ts';
import {
  type DeleteRangeRequest,
  type DeleteRangeResponse,
  type Engine,
  EngineError,
  type HeldRevision,
  type LeaseInfo,
  type PutRequest,
  type PutResponse,
  type RangeRequest,
  type RangeResponse,
  type Reader,
  type TxnRequest,
  type TxnResponse,
} from '../contract/index.ts';
import {
  type AutoCompaction,
  MvccEngine,
  type MvccEngineDependencies,
  type MvccEngineOptions,
  compactAutomatically,
} from '../engine/index.ts';
import { StoreDirectoryError } from './directory-error.ts';
import { LmdbBackend } from './lmdb-backend.ts';
import { isDamage } from './lmdb-error.ts';
import { openLog } from './open-log.ts';
import { type PatrolDependencies, patrolPages } from './page-patrol.ts';
import type { RoomFacts } from './room-notice.ts';
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

const firstPatrolMs = 1_000;
const patrolMs = 24 * 60 * 60_000;
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
    onRoom: (facts) => sayRoom(log, options.directory, facts),
  });
  return new EmbeddedEngine(backend, tables, options);
}

/** As the alarm NOSPACE, which comes and goes with it. */
function sayRoom(log: Logger, directory: string, { state, limit, inUseBytes, quotaBytes }: RoomFacts): void {
  const facts = { alarm: 'NOSPACE', directory, limit, inUseBytes, quotaBytes };
  if (state === 'room again') log.warn('The store has room again: puts and leases are taken', facts);
  else
    log.warn('The store is full: puts and leases are refused; reads, deletions and compactions go on', {
      ...facts,
      [fields.hint]:
        limit === 'quota'
          ? 'Delete what is not needed and compact, or start with a larger --quota-backend-bytes'
          : 'Make room on the file system of the data directory',
    });
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
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  readonly #compacting: Promise<void>;
  readonly #patrolling: Promise<void>;

  constructor(backend: LmdbBackend, tables: Tables, options: EmbeddedEngineOptions) {
    super(backend, options, options);
    this.#backend = backend;
    this.#log = options.log ?? silentLogger;
    const policy = options.autoCompaction ?? defaultAutoCompaction;
    this.#compacting = compactAutomatically(this, policy, options, this.#stopping.signal);
    this.#patrolling = this.#patrol({ tables, clock: options.clock });
  }

  override range(request: RangeRequest, reader?: Reader): Promise<RangeResponse> {
    return this.#sound(super.range(request, reader));
  }

  override put(request: PutRequest): Promise<PutResponse> {
    return this.#sound(super.put(request));
  }

  override deleteRange(request: DeleteRangeRequest, reader?: Reader): Promise<DeleteRangeResponse> {
    return this.#sound(super.deleteRange(request, reader));
  }

  override txn(request: TxnRequest, reader?: Reader): Promise<TxnResponse> {
    return this.#sound(super.txn(request, reader));
  }

  override hold(revision?: number): HeldRevision {
    const held = super.hold(revision);
    return {
      revision: held.revision,
      range: (request, reader) => this.#sound(held.range(request, reader)),
      [Symbol.dispose]: () => held[Symbol.dispose](),
    };
  }

  override compact(revision: number): Promise<{ readonly revision: number }> {
    return this.#sound(super.compact(revision));
  }

  override leaseTimeToLive(id: bigint, keys: boolean, reader?: Reader): Promise<LeaseInfo> {
    return this.#sound(super.leaseTimeToLive(id, keys, reader));
  }

  override leaseKeys(id: bigint, reader?: Reader): Promise<readonly Uint8Array[]> {
    return this.#sound(super.leaseKeys(id, reader));
  }

  protected override explained(error: unknown): unknown {
    const known = this.#backend.damage !== undefined && !(error instanceof EngineError);
    // Once some are found, what goes wrong comes of it.
    return known || isDamage(error) ? this.#backend.foundDamage(error) : error;
  }

  async #sound<T>(answer: Promise<T>): Promise<T> {
    try {
      return await answer;
    } catch (error) {
      throw this.explained(error);
    }
  }

  /** After a start that has not looked at the pages, and then every day. */
  async #patrol(dependencies: PatrolDependencies): Promise<void> {
    const { signal } = this.#stopping;
    try {
      await dependencies.clock.sleep(dependencies.tables.checked ? patrolMs : firstPatrolMs, signal);
      for (;;) {
        await patrolPages(dependencies, signal);
        this.#log.debug('All pages of the store were looked at');
        await dependencies.clock.sleep(patrolMs, signal);
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof StoreDirectoryError || isDamage(error)) this.#backend.foundDamage(error);
      else this.#log.error('The pages of the store are not looked at any more', { error });
    }
  }

  override async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new DOMException('The engine was closed', 'AbortError'));
    await this.#compacting;
    await this.#patrolling;
    await super[Symbol.asyncDispose]();
  }
}
