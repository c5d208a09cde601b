import { type Logger, fields } from '../../runtime/log/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { decodeService, endpointSliceKey, keyOfWorkload, serviceExportKey } from '../wire/index.ts';
import type { ExportTimes } from './export-times.ts';
import { Lane } from './lane.ts';
import type { KeyRecord, OwnedKeys } from './owned-keys.ts';
import type { PodRecords } from './pod-records.ts';
import { type RecordContext, isExported, recordsOf } from './records-of.ts';
import { type Unit, type UnitKind, needs, unitId } from './units.ts';
import type { Unread } from './unread.ts';

export interface PublisherOptions {
  readonly context: RecordContext;
  /** Where the keys of each kind of unit go; a kind without a place is not published. */
  readonly keys: ReadonlyMap<UnitKind, OwnedKeys>;
  /** Absent where identities are allocated by somebody else. */
  readonly pods?: PodRecords;
  readonly exports: ExportTimes;
  readonly unread: Unread;
  /** What is stored under a key, by whichever life. */
  readonly stored: (key: string, signal: AbortSignal) => Promise<Uint8Array | undefined>;
  readonly log: Logger;
  /** Called whenever nothing waits any more, of pods or of all the rest. */
  readonly idle: () => void;
}

const othersAtOnce = 128;
/** Few enough that a store with a limit on requests has other things done in between. */
const podsAtOnce = 16;

/**
 * Turns units into keys: looks at what is known now, computes the records, and wishes them into the channel of their kind.
 * A unit that cannot be decided on yet, because a kind that it needs has not been listed (or an identity may not be given), waits; one that makes no valid
 * record is skipped with a reason, and what was published of it before stays.
 *
 * While the source has problems, what an earlier life published and this one cannot confirm is *kept*: wished as it is
 * stored. A kept unit is decided on as soon as nothing that could not be read may speak for it any more.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  /** Pods wait for the store where they need identities; backends of services must not wait for that. */
  readonly #pods = new Lane(podsAtOnce);
  /** In this order: the first to claim an address has it. */
  readonly #others = new Lane(othersAtOnce);
  readonly #held = new Map<string, Unit>();
  readonly #skipped = new Map<string, string>();
  /** Units published as an earlier life left them. */
  readonly #kept = new Map<string, Unit>();
  /** Pods whose namespace has not been told yet. */
  readonly #homeless = new Map<string, Unit>();

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /** Units without a valid record, with the reason. */
  get skipped(): ReadonlyMap<string, string> {
    return this.#skipped;
  }

  /** Units that stand as an earlier life left them, since the source could not be read completely. */
  get kept(): ReadonlyMap<string, Unit> {
    return this.#kept;
  }

  /**
   * Whether a key that an earlier life left, of a unit that has none in this life, may not be taken away: the unit made no
   * valid record, or may be in what the source could not read.
   */
  isUncertain(unit: Unit): boolean {
    const id = unitId(unit);
    if (this.#isDecided(id, unit)) return false;
    return this.#skipped.has(id) || this.#options.unread.hides(unit);
  }

  /** Wishes what an earlier life left of a unit, unchanged. */
  keep(unit: Unit, record: KeyRecord): void {
    const id = unitId(unit);
    this.#kept.set(id, unit);
    this.#options.keys.get(unit.kind)?.add(id, record);
  }

  /** Decides on what was kept, as far as that is certain now. */
  reconsider(): void {
    const { unread, context } = this.#options;
    this.look([...this.#homeless.values()].filter(({ namespace }) => !context.awaitsNamespace(namespace)));
    this.look([...this.#kept.values()].filter((unit) => !this.#skipped.has(unitId(unit)) && !unread.leavesOpen(unit)));
  }

  /** Units of a kind that have keys. */
  count(kind: UnitKind): number {
    return this.#options.keys.get(kind)?.owners ?? 0;
  }

  /** True when every unit of the kind that was touched so far has been decided on. */
  settled(kind: UnitKind): boolean {
    if (!this.#laneOf(kind).idle || !this.#ready(kind)) return false;
    for (const held of this.#held.values()) if (held.kind === kind) return false;
    return true;
  }

  look(units: readonly Unit[]): void {
    for (const unit of units) {
      if (!this.#options.keys.has(unit.kind)) continue;
      const id = unitId(unit);
      if (this.#decidable(unit)) this.#laneOf(unit.kind).add(id, unit);
      else this.#held.set(id, unit);
    }
  }

  /** Another kind has been listed, or new identities may be given: what waited for it is looked at. */
  release(): void {
    for (const [id, unit] of this.#held) {
      if (!this.#decidable(unit)) continue;
      this.#held.delete(id);
      this.#laneOf(unit.kind).add(id, unit);
    }
    if (this.#pods.idle || this.#others.idle) this.#options.idle();
  }

  /** Tries again where no identity was free. */
  retryIdentities(): void {
    this.look([...(this.#options.pods?.withoutIdentity.values() ?? [])].map(({ unit }) => unit));
  }

  async run(signal: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(signal);
    for (const lane of [this.#pods, this.#others])
      tasks.run((running) => lane.run((id, unit) => this.#decide(id, unit, running), this.#options.idle, running));
    await tasks.wait();
  }

  #laneOf(kind: UnitKind): Lane {
    return kind === 'Pod' ? this.#pods : this.#others;
  }

  /** A pod whose identity would be a new one waits until such are given. */
  #decidable(unit: Unit): boolean {
    return this.#ready(unit.kind) && (unit.kind !== 'Pod' || this.#options.pods?.mayDecide(unit) !== false);
  }

  #ready(kind: UnitKind): boolean {
    return needs[kind].every((needed) => this.#options.context.objects.isSynced(needed));
  }

  /** True when this life has said what the unit is, rather than taken over what was there. */
  #isDecided(id: string, { kind }: Unit): boolean {
    return !this.#kept.has(id) && this.#options.keys.get(kind)?.has(id) === true;
  }

  async #decide(id: string, unit: Unit, signal: AbortSignal): Promise<void> {
    try {
      if (unit.kind === 'Pod') await this.#decidePod(id, unit, signal);
      else await this.#decideRecords(id, unit, signal);
      const lacking = this.#options.pods?.withoutIdentity.get(id);
      if (this.#homeless.has(id)) this.#skipped.set(id, `namespace ${unit.namespace} is not known yet`);
      else if (lacking) this.#skip(id, lacking.error);
      else this.#skipped.delete(id);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#skip(id, error);
    }
  }

  async #decideRecords(id: string, unit: Unit, signal: AbortSignal): Promise<void> {
    const { context, exports, unread } = this.#options;
    if (unit.kind === 'export') await exports.learn(unit, signal);
    const records = recordsOf(unit, context);
    if (this.#stays(id, unit)) return;
    if (!unread.any || this.#isDecided(id, unit)) this.#publish(id, unit, records);
    else await this.#decideInDoubt(id, unit, records, signal);
  }

  /**
   * Some record follows from several objects. Of those that may be hidden, a namespace could forbid the export, a Service
   * too, and a slice could name backends: what an earlier life published, which knew them, stays until they have been read.
   */
  async #decideInDoubt(id: string, unit: Unit, records: readonly KeyRecord[], signal: AbortSignal): Promise<void> {
    const { unread } = this.#options;
    const noNamespace = unread.hidesNamespaceOf(unit);
    if (!noNamespace && !unread.hidesServiceOf(unit) && !unread.hidesSlicesOf(unit)) {
      this.#publish(id, unit, records);
      return;
    }
    const key = this.#exportedKeyOf(unit);
    const before = await this.#storedOf(key === undefined ? records.map((record) => record.key) : [key], signal);
    if (unit.kind === 'shared' && !noNamespace && !losesBackends(unit, before[0], records[0])) {
      this.#publish(id, unit, records);
      return;
    }
    this.#publish(id, unit, before);
    if (before.length > 0) this.#kept.set(id, unit);
  }

  /** The one key that a slice or an export has, whether or not a record can be made now. */
  #exportedKeyOf({ kind, namespace, name }: Unit): string | undefined {
    const { cluster } = this.#options.context;
    if (kind === 'slice') return endpointSliceKey(cluster.name, namespace, name);
    return kind === 'export' ? serviceExportKey(cluster.name, namespace, name) : undefined;
  }

  async #storedOf(keys: readonly string[], signal: AbortSignal): Promise<KeyRecord[]> {
    const found: KeyRecord[] = [];
    for (const key of keys) {
      const value = await this.#options.stored(key, signal);
      if (value) found.push({ key, value });
    }
    return found;
  }

  async #decidePod(id: string, unit: Unit, signal: AbortSignal): Promise<void> {
    const { context, pods, unread } = this.#options;
    if (!pods || this.#stays(id, unit)) return;
    this.#homeless.delete(id);
    // Its labels are part of the identity. What was published stays: a namespace may be seen to go before its pods.
    if (pods.nodeOf(unit) !== undefined && context.awaitsNamespace(unit.namespace)) {
      this.#homeless.set(id, unit);
      return;
    }
    if (await this.#keepPod(id, unit, pods, signal)) return;
    // A namespace that could not be read might forbid it.
    const hidden = unread.hidesNamespace(unit.namespace) || !isExported(unit.namespace, context);
    this.#publish(id, unit, await pods.of(unit, hidden, signal));
  }

  /** The labels of a namespace that could not be read are part of an identity: the one that the pod had stays. */
  async #keepPod(id: string, unit: Unit, pods: PodRecords, signal: AbortSignal): Promise<boolean> {
    const { namespace, name } = unit;
    const node = pods.nodeOf(unit);
    if (node === undefined || this.#isDecided(id, unit) || !this.#options.unread.hidesNamespace(namespace))
      return false;
    const [before] = await this.#storedOf([keyOfWorkload({ node, namespace, name })], signal);
    if (before) this.keep(unit, before);
    return before !== undefined;
  }

  /** What was kept of a unit is not given up before everything that may speak for it has been read. */
  #stays(id: string, unit: Unit): boolean {
    return this.#kept.has(id) && this.#options.unread.hides(unit);
  }

  #publish(id: string, { kind }: Unit, records: readonly KeyRecord[]): void {
    this.#kept.delete(id);
    this.#options.keys.get(kind)?.replace(id, records);
  }

  #skip(id: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#skipped.get(id) === reason) return;
    this.#skipped.set(id, reason);
    this.#options.log.warn('An object was skipped', { object: id, [fields.error]: error });
  }
}

/** Whether a record lacks a backend that the stored one has. What cannot be decoded is nothing to hold on to. */
function losesBackends({ namespace, name }: Unit, stored: KeyRecord | undefined, next: KeyRecord | undefined): boolean {
  if (!stored || !next) return false;
  const suffix = `${namespace}/${name}`;
  try {
    const after = decodeService(suffix, next.value).backends;
    return Object.keys(decodeService(suffix, stored.value).backends).some((address) => !Object.hasOwn(after, address));
  } catch {
    return false;
  }
}
