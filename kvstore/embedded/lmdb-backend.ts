import { type Clock, systemClock } from '../../runtime/clock/index.ts';
import {
  type Backend,
  type BackendSizes,
  type Change,
  type CommitListener,
  type Hold,
  Holds,
  type Row,
  type Snapshot,
  type Steps,
  type StoredLease,
  engineErrors,
} from '../engine/index.ts';
import { Applier } from './apply.ts';
import { type Group, GroupCommit, type Writer, lmdbWriter } from './group-commit.ts';
import { LmdbLeases } from './leases.ts';
import { LmdbView } from './lmdb-view.ts';
import type { StoreDirectoryError } from './directory-error.ts';
import { damageOf, isDamage } from './lmdb-error.ts';
import { Overlay } from './overlay.ts';
import { disownLog } from './open-log.ts';
import { type StoredRow, decodeRow, encodeRow, idOf, keyBuffer, logKey, readRevision } from './row-codec.ts';
import { Room } from './room.ts';
import type { RoomFacts } from './room-notice.ts';
import { isOutOfSpace, keysIn, noRoomBytes } from './space.ts';
import { Sweeper } from './sweep.ts';
import { metaId, metaKeys, metaRevision, revisionBytes } from './meta.ts';
import { closeTables, maxKeyBytes } from './tables.ts';
import type { WriteLog } from './wal/index.ts';
import type { Table, TableWrite, Tables } from './table-types.ts';

export interface LmdbBackendOptions {
  /** Bytes in use from which on puts are refused; etcd's `--quota-backend-bytes`. Default 2 GiB. */
  readonly quotaBytes?: number;
  /** Makes a group durable; the tables follow. Without it every group goes to the tables at once. */
  readonly log?: WriteLog;
  /** How writes reach the tables; only tests give another one. */
  readonly write?: Writer;
  readonly clock?: Clock;
  /** Told of errors of work in the background, and of commits that failed. */
  readonly report?: (message: string, error: unknown) => void;
  /** Told once that it is full, and once that it is so no longer. */
  readonly onRoom?: (facts: RoomFacts) => void;
}

const defaultQuotaBytes = 2 * 1024 ** 3;
/** Writers wait while the tables are behind the log by more than this. */
const maxUnappliedBytes = noRoomBytes;

/**
 * Rows in LMDB. A group of writes is durable with its record in the log; LMDB gets it some milliseconds later, with others.
 * Everything a revision changes, with the revision itself, is in one record and in one commit of LMDB.
 */
export class LmdbBackend implements Backend {
  readonly clusterId: bigint;
  readonly memberId: bigint;
  readonly maxKeyBytes = maxKeyBytes;
  readonly #tables: Tables;
  /** What is not on disk. */
  readonly #overlay = new Overlay();
  /** What is on disk in the log only. */
  readonly #applier: Applier;
  readonly #latest: LmdbView;
  readonly #commits: GroupCommit;
  readonly #log: WriteLog | undefined;
  readonly #write: Writer;
  readonly #room: Room;
  readonly #report: (message: string, error: unknown) => void;
  readonly #stopping = new AbortController();
  readonly #leases: LmdbLeases;
  #leftSeconds: ReadonlyMap<bigint, number> = new Map();
  /** Live ones, as of the last commit. */
  #keys: number;
  #appended: number;
  #committed: number;
  #compacting: number;
  #compacted: number;
  /** Record of the group that was written last; `undefined` when it went to the tables. */
  #record: number | undefined;
  /** Where the next slice of the sweep begins; `undefined` when nothing is to be swept. */
  #sweepFrom: Buffer | undefined;
  #broken: Error | undefined;
  #damage: StoreDirectoryError | undefined;
  #closed = false;
  readonly #holds = new Holds(() => this.#sweeper.start());
  readonly #sweeper: Sweeper;
  #onCommit: CommitListener = () => undefined;
  #onRollback: () => void = () => undefined;
  #onBroken: (error: Error) => void = () => undefined;

  constructor(tables: Tables, options: LmdbBackendOptions = {}) {
    this.#tables = tables;
    this.clusterId = metaId(tables, metaKeys.cluster);
    this.memberId = metaId(tables, metaKeys.member);
    this.#committed = this.#appended = metaRevision(tables, metaKeys.revision, 1);
    this.#compacted = this.#compacting = metaRevision(tables, metaKeys.compacted, -1);
    this.#keys = keysIn(tables.cur);
    this.#report = options.report ?? (() => undefined);
    this.#log = options.log;
    this.#write = options.write ?? lmdbWriter(tables);
    this.#applier = new Applier({
      tables,
      clock: options.clock ?? systemClock,
      write: this.#write,
      applied: (record) => this.#applied(record),
      failed: (error) => this.#notApplied(error),
    });
    this.#room = new Room({
      tables,
      quotaBytes: options.quotaBytes ?? defaultQuotaBytes,
      unapplied: () => this.#applier.bytes,
      damaged: () => this.#damage !== undefined,
      onFull: () => this.#holds.drop(this.#compacted),
      say: options.onRoom ?? (() => undefined),
      clock: options.clock ?? systemClock,
    });
    this.#leases = new LmdbLeases({ tables, unapplied: (table) => this.#applier.unapplied(table) });
    this.#latest = new LmdbView(tables, this.#latestState(), () => [this.#overlay, ...this.#applier.overlays]);
    this.#commits = new GroupCommit({
      write: (group) => this.#writeGroup(group),
      seal: (group) => this.#seal(group),
      committed: (group) => this.#settle(group),
      failed: (error) => this.#rollBack(error),
    });
    this.#sweepFrom = tables.meta.get(metaKeys.sweep);
    this.#sweeper = new Sweeper({
      tables,
      view: this.#latest,
      compacted: () => this.#compacted,
      within: (revision) => this.#holds.within(revision),
      ready: () => this.#applier.drained(),
      commit: (writes) => this.#commitSweep(writes),
      failed: (error) => {
        if (isDamage(error)) this.foundDamage(error);
        else this.#report('History could not be compacted', error);
      },
      signal: this.#stopping.signal,
    });
    this.#leases.load(tables.leaseTimes);
    this.#room.begin();
    this.#sweeper.start();
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
    return this.#room.out;
  }

  get damage(): Error | undefined {
    return this.#damage;
  }

  get full(): boolean {
    return this.#room.full;
  }

  sizes(): BackendSizes {
    return { ...this.#room.sizes(), keys: this.#keys };
  }

  snapshot(): Snapshot {
    const transaction = this.#tables.root.useReadTransaction();
    const { meta } = this.#tables;
    // Without the log, a commit may have landed that is not announced yet: the revision must be that of the rows.
    const read = (key: Buffer, announced: number): number => {
      const bytes = meta.get(key, { transaction });
      return bytes ? Math.max(readRevision(bytes, 0), announced) : announced;
    };
    const state = {
      revision: read(metaKeys.revision, this.#committed),
      compactRevision: read(metaKeys.compacted, this.#compacted),
    };
    const { overlays } = this.#applier;
    const view = new LmdbView(this.#tables, state, () => overlays, transaction);
    return Object.assign(view, { stable: true, [Symbol.dispose]: () => transaction.done() });
  }

  *log(revision: number, sub = 0): Generator<Row, void, void> {
    const start = logKey({ revision, sub });
    const { overlays } = this.#applier;
    let next = revision;
    for (const { value } of this.#tables.log.getRange({ start })) {
      const row = decodeRow(value);
      next = row.kv.modRevision + 1;
      yield row;
    }
    for (const overlay of overlays.toReversed())
      for (const row of overlay.log(next, next === revision ? sub : 0)) {
        next = Math.max(next, row.kv.modRevision);
        yield row;
      }
  }

  replacedBy(row: Row): Row | undefined {
    if (row.kv.modRevision - 1 < this.#compacted) return undefined;
    // Whoever has a row has it from here.
    let before = this.#latest.row((row as StoredRow).previous);
    while (before?.kv.modRevision === row.kv.modRevision) before = this.#latest.row(before.previous);
    return before?.deleted ? undefined : before;
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
    group.writes.push(...this.#leases.moveKey(row, replaced));
    group.changes.push({ row, replaced });
    this.#overlay.add(row);
    this.#appended = row.kv.modRevision;
    this.#room.wrote(row.encoded.length);
  }

  leases(): readonly StoredLease[] {
    return this.#leases.all();
  }

  leaseKeys(id: bigint): Uint8Array[] {
    return this.#leases.keysOf(id);
  }

  leaseKeysSteps(id: bigint): Steps<Uint8Array[]> {
    return this.#leases.keysOfSteps(id);
  }

  putLease(lease: StoredLease): void {
    this.#assertWritable();
    this.#commits.group.writes.push(this.#leases.put(lease));
  }

  keepTimes(left: ReadonlyMap<bigint, number>): void {
    this.#leftSeconds = left;
  }

  removeLease(id: bigint): void {
    this.#assertWritable();
    this.#commits.group.writes.push(this.#leases.remove(id));
  }

  async flush(): Promise<void> {
    await this.#commits.flush();
  }

  async compact(revision: number): Promise<void> {
    this.#assertWritable();
    const { meta } = this.#tables;
    const start = (this.#sweepFrom ??= logKey({ revision: Math.max(0, this.#compacting), sub: 0 }));
    this.#compacting = revision;
    const { group } = this.#commits;
    group.compacted = revision;
    group.writes.push(
      { table: meta, key: metaKeys.compacted, value: revisionBytes(revision) },
      { table: meta, key: metaKeys.sweep, value: start },
    );
    await this.flush();
    this.#sweeper.start();
  }

  hold(revision: number): Hold {
    return this.#holds.add(revision);
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
    await this.#sweeper.idle();
    await this.#commits.idle();
    this.#broken ??= engineErrors.stopped();
    // What the tables cannot take now the next start takes from the log.
    const applied = await this.#applier.drained().then(
      () => true,
      () => false,
    );
    await this.#applier.halt();
    // What began before the end was told still finds open tables.
    await this.#commits.idle();
    const released = applied && !this.#damage && (await disownLog(this.#tables, this.#write, this.#leftSeconds));
    this.#closed = true;
    this.#log?.close(!released);
    await closeTables(this.#tables, released);
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

  async #writeGroup({ writes }: Group): Promise<void> {
    if (!this.#log || this.#room.tight) {
      await this.#applier.drained();
      await this.#write(writes);
      this.#record = undefined;
      this.#room.lookAtDisk();
      return;
    }
    if (this.#applier.bytes > maxUnappliedBytes) await this.#applier.drained();
    try {
      this.#record = await this.#log.append(writes);
    } catch (error) {
      this.#room.lookAtDisk();
      throw error;
    }
  }

  /** The tables have, on disk, what was in the log up to this record. */
  #applied(record: number): void {
    this.#tables.root.resetReadTxn();
    if (record > 0) this.#log?.release(record);
    this.#room.look();
    this.#room.lookAtDisk();
  }

  /** Nothing is lost, but a full disk takes no more before this has found its place; after anything else only a restart helps. */
  #notApplied(cause: unknown): void {
    this.#report('Writes could not be taken to the tables; they are safe in the log', cause);
    this.#room.lookAtDisk();
    if (isOutOfSpace(cause, this.#tables.directory)) this.#room.foundNone();
    else if (isDamage(cause)) this.foundDamage(cause);
    else this.#fail(cause);
  }

  #settle(group: Group): void {
    this.#room.foundSome();
    this.#overlay.settle(group.changes);
    if (this.#record === undefined) this.#tables.root.resetReadTxn();
    else this.#applier.add(group.writes, group.changes, this.#record);
    if (group.compacted !== undefined) this.#compacted = group.compacted;
    this.#room.look();
    const last = group.changes.at(-1);
    if (!last) return;
    this.#committed = last.row.kv.modRevision;
    for (const { row, replaced } of group.changes) this.#keys += (row.deleted ? 0 : 1) - (replaced ? 1 : 0);
    this.#onCommit(group.changes, this.#committed);
  }

  /** Nothing of what was appended is on disk: back to the last commit. A full disk heals, anything else does not. */
  #rollBack(cause: unknown): Error {
    // Nobody reads any more, and the tables cannot be read.
    if (this.#closed) return engineErrors.stopped(cause);
    this.#overlay.clear();
    this.#appended = this.#committed;
    this.#compacting = this.#compacted;
    this.#leases.forgetKeys();
    try {
      this.#tables.root.resetReadTxn();
      this.#sweepFrom = this.#stored(this.#tables.meta, metaKeys.sweep);
      this.#leases.load();
    } catch (error) {
      // What is on disk cannot even be read back: there is nothing left to go on from.
      this.#report('A commit failed and the tables cannot be read', error);
      return this.#fail(cause);
    }
    this.#report('A commit failed and was rolled back', cause);
    this.#onRollback();
    if (isDamage(cause)) return this.foundDamage(cause);
    if (!isOutOfSpace(cause, this.#tables.directory)) return this.#fail(cause);
    this.#room.foundNone();
    return engineErrors.noSpace();
  }

  /**
   * Pages were met that LMDB cannot have written, and what else is wrong nobody knows: nothing is written any more, neither to
   * the log nor to the tables, and the log stays for the next start, which looks at all pages. Reads go on as far as they can.
   * Gives what to answer to whoever met them.
   */
  foundDamage(cause: unknown): Error {
    // A snapshot that met it gives nothing any more; those that others hold are their own.
    this.#tables.root.resetReadTxn();
    if (this.#damage) return engineErrors.corrupt(this.#damage);
    const found = damageOf(cause, this.#tables.directory);
    this.#damage = found;
    this.#broken ??= engineErrors.corrupt(found);
    this.#report('The store is damaged: no write is accepted any more, reads go on as far as they can', found);
    this.#stopping.abort(this.#broken);
    void this.#applier.halt();
    return this.#broken;
  }

  /** Nothing is written any more, and `cause` is the reason. */
  #fail(cause: unknown): Error {
    if (this.#broken) return this.#broken;
    this.#broken = engineErrors.stopped(cause);
    this.#onBroken(this.#broken);
    return this.#broken;
  }

  /** What the table has, or will have. */
  #stored(table: Table, key: Buffer): Buffer | undefined {
    let value = table.get(key);
    const text = key.toString('latin1');
    for (const write of this.#applier.unapplied(table)) if (write.key.toString('latin1') === text) value = write.value;
    return value;
  }

  async #commitSweep(writes: readonly TableWrite[]): Promise<void> {
    this.#assertWritable();
    const place = writes.find(({ table, key }) => table === this.#tables.meta && key === metaKeys.sweep);
    if (place) this.#sweepFrom = place.value;
    // No record is needed: what a crash undoes is swept again.
    if (this.#log) this.#applier.add(writes, [], 0);
    else this.#commits.group.writes.push(...writes);
    await this.flush();
    await this.#applier.drained();
  }

  #assertWritable(): void {
    if (this.#broken) throw this.#broken;
  }
}
