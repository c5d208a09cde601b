import { statfsSync } from 'node:fs';
import {
  type Backend,
  type Change,
  type CommitListener,
  type Row,
  type Snapshot,
  type StoredLease,
  engineErrors,
} from '../engine/index.ts';
import { type Group, GroupCommit, type TableWrite, type Writer, lmdbWriter } from './group-commit.ts';
import { LmdbView } from './lmdb-view.ts';
import { Overlay } from './overlay.ts';
import { type StoredRow, decodeRow, encodeRow, idOf, leaseKey, logKey, readRevision } from './row-codec.ts';
import { sweep, sweepStart } from './sweep.ts';
import {
  type Table,
  type Tables,
  closeTables,
  maxKeyBytes,
  metaId,
  metaKeys,
  metaRevision,
  revisionBytes,
} from './tables.ts';

export interface LmdbBackendOptions {
  /** Bytes in use from which on puts are refused; etcd's `--quota-backend-bytes`. Default 2 GiB. */
  readonly quotaBytes?: number;
  /** How a group reaches the disk; only the crash tests give another one. */
  readonly write?: Writer;
  /** Told of errors of work in the background, and of commits that failed. */
  readonly report?: (message: string, error: unknown) => void;
}

const defaultQuotaBytes = 2 * 1024 ** 3;
/** The size of the environment is looked at again after this many bytes of rows. */
const sizeCheckBytes = 1024 ** 2;

/** A file system with less than this cannot take a group of writes for certain. */
const noRoomBytes = 16 * 1024 ** 2;

/** Rows in LMDB: everything a revision changes goes into one commit, with the revision itself. */
export class LmdbBackend implements Backend {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly maxKeyBytes = maxKeyBytes;
  readonly #tables: Tables;
  readonly #overlay = new Overlay();
  readonly #latest: LmdbView;
  readonly #commits: GroupCommit;
  readonly #quotaBytes: number;
  readonly #report: (message: string, error: unknown) => void;
  readonly #stopping = new AbortController();
  /** Keys of those leases that were touched since the start; the table has the rest. */
  readonly #leaseKeys = new Map<bigint, Map<string, Uint8Array>>();
  readonly #leases = new Map<bigint, StoredLease>();
  #appended: number;
  #committed: number;
  #compacting: number;
  #compacted: number;
  #bytesSinceSizeCheck = 0;
  #full = false;
  /** The last commit found no room on the disk. */
  #noRoom = false;
  #broken: Error | undefined;
  #sweeping: Promise<void> | undefined;
  #sweepWanted = false;
  #onCommit: CommitListener = () => undefined;
  #onRollback: () => void = () => undefined;
  #onBroken: (error: Error) => void = () => undefined;

  constructor(tables: Tables, options: LmdbBackendOptions = {}) {
    this.#tables = tables;
    this.clusterId = metaId(tables, metaKeys.cluster);
    this.memberId = metaId(tables, metaKeys.member);
    this.#committed = this.#appended = metaRevision(tables, metaKeys.revision, 1);
    this.#compacted = this.#compacting = metaRevision(tables, metaKeys.compacted, -1);
    this.#quotaBytes = options.quotaBytes ?? defaultQuotaBytes;
    this.#report = options.report ?? (() => undefined);
    this.#latest = new LmdbView(tables, this.#latestState(), this.#overlay);
    this.#commits = new GroupCommit({
      write: options.write ?? lmdbWriter(tables),
      seal: (group) => this.#seal(group),
      committed: (group) => this.#settle(group),
      failed: (error) => this.#rollBack(error),
    });
    this.#loadLeases();
    this.#checkSize();
    this.#startSweep();
  }

  get latest(): LmdbView {
    return this.#latest;
  }

  get revision(): number {
    return this.#committed;
  }

  get compactRevision(): number {
    return this.#compacted;
  }

  get outOfSpace(): boolean {
    if (this.#noRoom && roomIn(this.#tables.directory) >= noRoomBytes) this.#noRoom = false;
    return this.full || this.#noRoom;
  }

  get full(): boolean {
    return this.#full;
  }

  sizes(): { readonly total: number; readonly inUse: number; readonly keys: number } {
    const { total, inUse } = environmentSize(this.#tables);
    return { total, inUse, keys: statsOf(this.#tables.cur).entryCount };
  }

  snapshot(): Snapshot {
    const transaction = this.#tables.root.useReadTransaction();
    const { meta } = this.#tables;
    // The revision comes from the same transaction as the rows: a commit may have landed that is not announced yet.
    const read = (key: Buffer, missing: number): number => {
      const bytes = meta.get(key, { transaction });
      return bytes ? readRevision(bytes, 0) : missing;
    };
    const state = { revision: read(metaKeys.revision, 1), compactRevision: read(metaKeys.compacted, -1) };
    const view = new LmdbView(this.#tables, state, undefined, transaction);
    return Object.assign(view, { stable: true, [Symbol.dispose]: () => transaction.done() });
  }

  *log(revision: number): Generator<Row, void, void> {
    const start = logKey({ revision, sub: 0 });
    for (const { value } of this.#tables.log.getRange({ start })) yield decodeRow(value);
  }

  replacedBy(row: Row): Row | undefined {
    const before = row.kv.modRevision - 1;
    return before < this.#compacted ? undefined : this.#latest.get(row.kv.key, before);
  }

  append({ row: given, replaced }: Change): void {
    this.#assertWritable();
    const { cur, log, dead } = this.#tables;
    const group = this.#commits.group;
    const row = encodeRow(given, replaced ? idOf(replaced) : this.#latest.newestId(given.kv.key));
    const key = keyBuffer(row);
    group.writes.push({ table: log, key: logKey(idOf(row)), value: row.encoded });
    if (row.deleted) {
      group.writes.push({ table: cur, key }, { table: dead, key, value: logKey(idOf(row)) });
    } else {
      group.writes.push({ table: cur, key, value: row.encoded });
      if (!replaced && row.previous.revision > 0) group.writes.push({ table: dead, key });
    }
    this.#attach(group, row, replaced);
    group.changes.push({ row, replaced });
    this.#overlay.add(row);
    this.#appended = row.kv.modRevision;
    this.#bytesSinceSizeCheck += row.encoded.length;
  }

  leases(): readonly StoredLease[] {
    return [...this.#leases.values()];
  }

  leaseKeys(id: bigint): Uint8Array[] {
    return [...this.#keysOf(id).values()];
  }

  putLease(lease: StoredLease): void {
    this.#assertWritable();
    this.#leases.set(lease.id, lease);
    this.#leaseKeys.set(lease.id, new Map());
    const value = Buffer.alloc(8);
    value.writeDoubleBE(lease.ttlSeconds, 0);
    this.#commits.group.writes.push({ table: this.#tables.lease, key: idBuffer(lease.id), value });
  }

  removeLease(id: bigint): void {
    this.#assertWritable();
    this.#leases.delete(id);
    this.#leaseKeys.delete(id);
    this.#commits.group.writes.push({ table: this.#tables.lease, key: idBuffer(id) });
  }

  async flush(): Promise<void> {
    await this.#commits.flush();
  }

  async compact(revision: number): Promise<void> {
    this.#assertWritable();
    const { meta } = this.#tables;
    const start = sweepStart(this.#tables, this.#compacting);
    this.#compacting = revision;
    this.#commits.group.writes.push(
      { table: meta, key: metaKeys.compacted, value: revisionBytes(revision) },
      { table: meta, key: metaKeys.sweep, value: start },
    );
    await this.flush();
    this.#startSweep();
  }

  onCommit(listener: CommitListener): void {
    this.#onCommit = listener;
  }

  onRollback(listener: () => void): void {
    this.#onRollback = listener;
  }

  onBroken(listener: (error: Error) => void): void {
    this.#onBroken = listener;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(engineErrors.stopped());
    await this.#sweeping;
    await this.#commits.idle();
    this.#broken ??= engineErrors.stopped();
    await closeTables(this.#tables);
  }

  #latestState(): { readonly revision: number; readonly compactRevision: number } {
    const appended = (): number => this.#appended;
    const compacting = (): number => this.#compacting;
    return {
      get revision() {
        return appended();
      },
      get compactRevision() {
        return compacting();
      },
    };
  }

  #seal(group: Group): void {
    const last = group.changes.at(-1);
    if (!last) return;
    const value = revisionBytes(last.row.kv.modRevision);
    group.writes.push({ table: this.#tables.meta, key: metaKeys.revision, value });
  }

  #settle(group: Group): void {
    this.#noRoom = false;
    this.#tables.root.resetReadTxn();
    this.#overlay.settle(group.changes);
    this.#compacted = metaRevision(this.#tables, metaKeys.compacted, -1);
    if (this.#bytesSinceSizeCheck >= sizeCheckBytes || this.#full) this.#checkSize();
    const last = group.changes.at(-1);
    if (!last) return;
    this.#committed = last.row.kv.modRevision;
    this.#onCommit(group.changes, this.#committed);
  }

  /** Nothing of what was appended is on disk: back to the last commit. A full disk heals, anything else does not. */
  #rollBack(cause: unknown): Error {
    this.#overlay.clear();
    this.#tables.root.resetReadTxn();
    this.#appended = this.#committed;
    this.#compacting = this.#compacted;
    this.#leaseKeys.clear();
    this.#loadLeases();
    this.#report('A commit failed and was rolled back', cause);
    this.#onRollback();
    if (!isOutOfSpace(cause, this.#tables.directory)) return this.#break(cause);
    this.#noRoom = true;
    return engineErrors.noSpace();
  }

  #break(cause: unknown): Error {
    if (this.#broken) return this.#broken;
    this.#broken = engineErrors.stopped(cause);
    this.#onBroken(this.#broken);
    return this.#broken;
  }

  #attach(group: Group, row: StoredRow, replaced: Row | undefined): void {
    const { lk } = this.#tables;
    const before = replaced?.kv.lease ?? 0n;
    const after = row.kv.lease;
    if (before === after) return;
    if (replaced && before !== 0n) {
      const key = leaseKey(before, replaced);
      this.#keysOf(before).delete(key.toString('latin1'));
      group.writes.push({ table: lk, key });
    }
    if (after !== 0n) {
      const key = leaseKey(after, row);
      this.#keysOf(after).set(key.toString('latin1'), row.kv.key);
      group.writes.push({ table: lk, key, value: keyBuffer(row) });
    }
  }

  /** First use reads the table; from then on writes keep the map right, also before they are on disk. */
  #keysOf(id: bigint): Map<string, Uint8Array> {
    let keys = this.#leaseKeys.get(id);
    if (!keys) {
      keys = new Map();
      const start = idBuffer(id);
      const end = Buffer.concat([start, Buffer.alloc(12, 0xff)]);
      for (const { key, value } of this.#tables.lk.getRange({ start, end }))
        keys.set(key.toString('latin1'), new Uint8Array(value));
      this.#leaseKeys.set(id, keys);
    }
    return keys;
  }

  #loadLeases(): void {
    this.#leases.clear();
    for (const { key, value } of this.#tables.lease.getRange({})) {
      const id = key.readBigInt64BE(0);
      this.#leases.set(id, { id, ttlSeconds: value.readDoubleBE(0) });
    }
  }

  #startSweep(): void {
    this.#sweepWanted = true;
    this.#sweeping ??= this.#sweep();
  }

  async #sweep(): Promise<void> {
    const commit = async (writes: readonly TableWrite[]): Promise<void> => {
      this.#assertWritable();
      this.#commits.group.writes.push(...writes);
      await this.flush();
      if (this.#full) this.#checkSize();
    };
    try {
      while (this.#sweepWanted) {
        this.#sweepWanted = false;
        await sweep(this.#tables, this.#latest, commit, this.#stopping.signal);
      }
    } catch (error) {
      // The place to go on from is stored: the next compaction, or the next start, takes it up.
      if (!this.#stopping.signal.aborted) this.#report('History could not be compacted', error);
    } finally {
      this.#sweeping = undefined;
    }
  }

  #checkSize(): void {
    this.#bytesSinceSizeCheck = 0;
    this.#full = environmentSize(this.#tables).inUse >= this.#quotaBytes;
  }

  #assertWritable(): void {
    if (this.#broken) throw this.#broken;
  }
}

/** Pages in use are those of the tables: LMDB keeps free ones in the file for later. */
function environmentSize(tables: Tables): { readonly total: number; readonly inUse: number } {
  const { pageSize, lastPageNumber, root } = statsOf(tables.root);
  const { cur, log, dead, lk, lease, meta } = tables;
  const trees = [root, ...[cur, log, dead, lk, lease, meta].map(statsOf)];
  const pages = trees.reduce(
    (sum, tree) => sum + tree.treeBranchPageCount + tree.treeLeafPageCount + tree.overflowPages,
    0,
  );
  return { total: (lastPageNumber + 1) * pageSize, inUse: pages * pageSize };
}

/** What `getStats` of lmdb-js gives; its own type says nothing. */
interface TreeStats {
  readonly pageSize: number;
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
  readonly entryCount: number;
}

function statsOf(table: Table): TreeStats & { readonly lastPageNumber: number; readonly root: TreeStats } {
  return table.getStats() as TreeStats & { readonly lastPageNumber: number; readonly root: TreeStats };
}

function keyBuffer(row: StoredRow): Buffer {
  const { key } = row.kv;
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength);
}

function idBuffer(id: bigint): Buffer {
  const key = Buffer.allocUnsafeSlow(8);
  key.writeBigInt64BE(id, 0);
  return key;
}

/** LMDB reports a write that was cut short as EIO, whatever the reason: so look whether there is room. */
function isOutOfSpace(error: unknown, directory: string): boolean {
  if (!(error instanceof Error)) return false;
  if (/MDB_MAP_FULL|ENOSPC|No space left/i.test(error.message)) return true;
  if (!/input\/output error/i.test(error.message)) return false;
  return roomIn(directory) < noRoomBytes;
}

function roomIn(directory: string): number {
  try {
    const { bavail, bsize } = statfsSync(directory);
    return bavail * bsize;
  } catch {
    return Infinity;
  }
}
