import type { IdentityAllocator, SyncStore } from '../../kvstore/index.ts';
import { RangeExhaustedError } from '../../kvstore/index.ts';
import { type KubernetesKind, type SourceProblem, mayDescribe } from '../../kubernetes/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { CoalescingQueue } from '../../runtime/queue/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import {
  decodeService,
  encodeIdentity,
  encodeLocalEndpoints,
  encodeLocalService,
  encodeNamespace,
  encodeNodeAssignment,
  encodeService,
  encodeWorkload,
  keyOfLocalEndpoints,
  keyOfLocalService,
  keyOfNamespace,
  keyOfNodeAssignment,
  keyOfService,
  keyOfWorkload,
} from '../wire/index.ts';
import { serviceSettings } from '../services/index.ts';
import { isGlobalNamespace } from './convert/annotations.ts';
import { clusterServiceOf } from './convert/cluster-service.ts';
import { identityLabelsOf } from './convert/identity-labels.ts';
import { localEndpointsOf, localServiceOf } from './convert/local-service.ts';
import { endpointNodeOf, namespaceOf, nodeAssignmentOf, workloadOf } from './convert/placement.ts';
import type { KnownObjects } from './known-objects.ts';
import { type Unit, type UnitKind, needs, unitId } from './units.ts';

export interface PublisherOptions {
  readonly cluster: { readonly name: string; readonly id: number };
  readonly objects: KnownObjects;
  /** Where the keys of each kind of unit go. */
  readonly channels: Readonly<Record<UnitKind, Pick<SyncStore, 'set' | 'delete'>>>;
  readonly allocator: IdentityAllocator;
  /** What the source could not read, as of now. */
  readonly problems: () => readonly SourceProblem[];
  /** What is stored under a key, by whichever life. */
  readonly stored: (key: string, signal: AbortSignal) => Promise<string | undefined>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called whenever nothing waits any more. */
  readonly idle: () => void;
}

/** A key and its value, or nothing when the unit has no record. */
type Publication = { readonly key: string; readonly value: string } | undefined;

const batchSize = 128;

/**
 * Turns units into keys: looks at what is known now, computes the record, and wishes it into the sync store of its kind.
 * A unit that cannot be decided on yet, because a kind that it needs has not been listed, waits; one that makes no valid
 * record is skipped with a reason, and what was published of it before stays.
 *
 * While the source has problems, what an earlier life published and this one cannot confirm is *kept*: wished as it is
 * stored. A kept unit is decided on as soon as nothing that could not be read may speak for it any more.
 */
export class Publisher {
  readonly #options: PublisherOptions;
  readonly #queue = new CoalescingQueue<string, Unit>();
  readonly #held = new Map<string, Unit>();
  readonly #published = new Map<string, string>();
  /** Identity text of each pod that holds a reference. */
  readonly #identities = new Map<string, string>();
  readonly #withoutIdentity = new Map<string, Unit>();
  readonly #skipped = new Map<string, string>();
  /** Units published as an earlier life left them. */
  readonly #kept = new Map<string, Unit>();
  #busy = false;

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
    if (this.#published.has(id)) return false;
    return this.#skipped.has(id) || this.#isHidden(unit);
  }

  /** Wishes what an earlier life left of a unit, unchanged. */
  keep(unit: Unit, key: string, value: string | Uint8Array): void {
    const id = unitId(unit);
    this.#options.channels[unit.kind].set(key, value);
    this.#published.set(id, key);
    this.#kept.set(id, unit);
  }

  /** Decides on what was kept, as far as that is certain now. */
  reconsider(): void {
    this.look([...this.#kept.values()].filter((unit) => !this.#isOpen(unit)));
  }

  /** Keys published of a kind. */
  count(kind: UnitKind): number {
    let count = 0;
    for (const id of this.#published.keys()) if (id.startsWith(`${kind}/`)) count += 1;
    return count;
  }

  /** True when every unit of the kind that was touched so far has been decided on. */
  settled(kind: UnitKind): boolean {
    return !this.#busy && this.#queue.size === 0 && this.#ready(kind);
  }

  look(units: readonly Unit[]): void {
    for (const unit of units) {
      const id = unitId(unit);
      if (this.#ready(unit.kind)) this.#queue.set(id, unit);
      else this.#held.set(id, unit);
    }
  }

  /** Another kind has been listed: what waited for it is looked at. */
  release(): void {
    for (const [id, unit] of this.#held) {
      if (!this.#ready(unit.kind)) continue;
      this.#held.delete(id);
      this.#queue.set(id, unit);
    }
    if (!this.#busy && this.#queue.size === 0) this.#options.idle();
  }

  /** Tries again where no identity was free. */
  retryIdentities(): void {
    this.look([...this.#withoutIdentity.values()]);
  }

  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#queue.ready(signal);
      this.#busy = true;
      const batch = this.#queue.take(batchSize);
      await Promise.all(batch.map(([id, unit]) => this.#decide(id, unit, signal)));
      this.#busy = false;
      if (this.#queue.size === 0) this.#options.idle();
    }
  }

  #ready(kind: UnitKind): boolean {
    return needs[kind].every((needed) => this.#options.objects.isSynced(needed));
  }

  async #decide(id: string, unit: Unit, signal: AbortSignal): Promise<void> {
    try {
      if (unit.kind === 'Pod') await this.#decidePod(id, unit, signal);
      else if (unit.kind === 'shared') await this.#decideShared(id, unit, signal);
      else this.#decideOwn(id, unit);
      if (!this.#withoutIdentity.has(id)) this.#skipped.delete(id);
    } catch (error) {
      if (signal.aborted) throw error;
      this.#skip(id, error);
    }
  }

  #decideOwn(id: string, unit: Unit): void {
    const publication = this.#recordOf(unit);
    if (!publication && this.#stays(id, unit)) return;
    this.#publish(id, unit.kind, publication);
  }

  /**
   * A shared service follows from several objects. Of those that may be hidden, a namespace could forbid the export, and a
   * slice could name backends: the record of an earlier life, which knew them, stays until they have been read.
   */
  async #decideShared(id: string, unit: Unit, signal: AbortSignal): Promise<void> {
    const { problems, stored } = this.#options;
    const publication = this.#recordOf(unit);
    if (!publication) {
      if (!this.#stays(id, unit)) this.#publish(id, unit.kind, undefined);
      return;
    }
    if (problems().length === 0 || (this.#published.has(id) && !this.#kept.has(id))) {
      this.#publish(id, unit.kind, publication);
      return;
    }
    const { namespace, name } = unit;
    const noNamespace = this.#isNamespaceHidden(namespace);
    const noSlice = mayDescribe(problems(), { kind: 'EndpointSlice', namespace });
    const before = noNamespace || noSlice ? await stored(publication.key, signal) : undefined;
    if (before !== undefined && (noNamespace || losesBackends(`${namespace}/${name}`, before, publication.value)))
      this.keep(unit, publication.key, before);
    else if (noNamespace) this.#publish(id, unit.kind, undefined);
    else this.#publish(id, unit.kind, publication);
  }

  /** What was kept of a unit is not given up before everything that may speak for it has been read. */
  #stays(id: string, unit: Unit): boolean {
    return this.#kept.has(id) && this.#isHidden(unit);
  }

  /** True when the unit's object is not known, and may be in what the source could not read. */
  #isHidden({ kind, namespace, name }: Unit): boolean {
    const { objects, problems } = this.#options;
    const of: KubernetesKind = kind === 'shared' ? 'Service' : kind;
    return !objects.get(of, namespace, name) && mayDescribe(problems(), { kind: of, namespace, name });
  }

  #isNamespaceHidden(namespace: string): boolean {
    const { objects, problems } = this.#options;
    if (objects.get('Namespace', '', namespace)) return false;
    return mayDescribe(problems(), { kind: 'Namespace', namespace: '', name: namespace });
  }

  /** Whether what a unit follows from is still not known completely. */
  #isOpen(unit: Unit): boolean {
    const { kind, namespace } = unit;
    if (this.#skipped.has(unitId(unit)) || this.#isHidden(unit)) return true;
    if (kind !== 'shared' && kind !== 'Pod') return false;
    if (this.#isNamespaceHidden(namespace)) return true;
    return kind === 'shared' && mayDescribe(this.#options.problems(), { kind: 'EndpointSlice', namespace });
  }

  #recordOf(unit: Unit): Publication {
    const { objects } = this.#options;
    const { kind, namespace, name } = unit;
    switch (kind) {
      case 'Namespace': {
        const object = objects.get('Namespace', '', name);
        const record = object && namespaceOf(object);
        return record && { key: keyOfNamespace(record), value: encodeNamespace(record) };
      }
      case 'Node': {
        const object = objects.get('Node', '', name);
        const record = object && nodeAssignmentOf(object);
        return record && { key: keyOfNodeAssignment(record), value: encodeNodeAssignment(record) };
      }
      case 'Service': {
        const object = objects.get('Service', namespace, name);
        const record = object && localServiceOf(object);
        return record && { key: keyOfLocalService(record), value: encodeLocalService(record) };
      }
      case 'EndpointSlice': {
        const object = objects.get('EndpointSlice', namespace, name);
        const record = object && localEndpointsOf(object);
        return record && { key: keyOfLocalEndpoints(record), value: encodeLocalEndpoints(record) };
      }
      case 'shared':
        return this.#sharedService(namespace, name);
      case 'Pod':
        throw new TypeError('A pod takes an identity first');
    }
  }

  #sharedService(namespace: string, name: string): Publication {
    const { objects, cluster } = this.#options;
    const service = objects.get('Service', namespace, name);
    if (!service || service.spec.type === 'ExternalName') return undefined;
    if (!serviceSettings(service.metadata.annotations).shared) return undefined;
    if (!isGlobalNamespace(objects.get('Namespace', '', namespace)?.metadata.annotations ?? {})) return undefined;
    const record = clusterServiceOf(service, objects.slicesOf(namespace, name), cluster);
    return { key: keyOfService(record), value: encodeService(record) };
  }

  async #decidePod(id: string, unit: Unit, signal: AbortSignal): Promise<void> {
    const { objects, allocator, cluster } = this.#options;
    const pod = objects.get('Pod', unit.namespace, unit.name);
    const node = pod && endpointNodeOf(pod);
    const held = this.#identities.get(id);
    if (!pod && this.#stays(id, unit)) return;
    if (!pod || node === undefined) {
      this.#publish(id, 'Pod', undefined);
      this.#identities.delete(id);
      this.#withoutIdentity.delete(id);
      if (held !== undefined) allocator.release(held);
      return;
    }
    const namespace = objects.get('Namespace', '', unit.namespace)?.metadata;
    // A namespace that could not be read might forbid it.
    const hidden = this.#isNamespaceHidden(unit.namespace) || !isGlobalNamespace(namespace?.annotations ?? {});
    if (await this.#keepPod(id, unit, node, signal)) return;
    const text = encodeIdentity({ labels: identityLabelsOf(pod, namespace?.labels ?? {}, cluster.name) });
    const known = text === held ? allocator.idOf(text) : undefined;
    if (known !== undefined) await this.#repeated((attempt) => allocator.setHidden(text, hidden, attempt), signal);
    const identity = known ?? (await this.#allocate(id, unit, text, hidden, signal));
    const record = workloadOf(pod, node, identity, hidden);
    this.#publish(id, 'Pod', { key: keyOfWorkload(record), value: encodeWorkload(record) });
    if (identity === 0 || text === held) return;
    this.#identities.set(id, text);
    if (held !== undefined) allocator.release(held);
  }

  /** The labels of a namespace that could not be read are part of an identity: the one that the pod had stays. */
  async #keepPod(id: string, unit: Unit, node: string, signal: AbortSignal): Promise<boolean> {
    const { namespace, name } = unit;
    if (this.#published.has(id) && !this.#kept.has(id)) return false;
    if (!this.#isNamespaceHidden(namespace)) return false;
    const key = keyOfWorkload({ node, namespace, name });
    const before = await this.#options.stored(key, signal);
    if (before === undefined) return false;
    this.keep(unit, key, before);
    return true;
  }

  /** 0 when no number is free: the endpoint stays `reserved:init`, and the pod is named in the status. */
  async #allocate(id: string, unit: Unit, text: string, hidden: boolean, signal: AbortSignal): Promise<number> {
    const { allocator } = this.#options;
    try {
      const identity = await this.#repeated((attempt) => allocator.allocate(text, attempt, { hidden }), signal);
      this.#withoutIdentity.delete(id);
      return identity;
    } catch (error) {
      if (!(error instanceof RangeExhaustedError)) throw error;
      this.#withoutIdentity.set(id, unit);
      this.#skip(id, error);
      return 0;
    }
  }

  #repeated<T>(write: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const { clock, log } = this.#options;
    return retry(write, {
      clock,
      signal,
      schedule: exponential({ firstMs: 50, maxMs: 5_000 }),
      retryable: (error) => !(error instanceof RangeExhaustedError),
      onFailure: (error, attempt) =>
        log.warn('Cannot write an identity, will be repeated', { [fields.error]: error, [fields.attempt]: attempt }),
    });
  }

  /** The new key is wished before the old one is given up, so that a reader never sees neither. */
  #publish(id: string, kind: UnitKind, publication: Publication): void {
    const channel = this.#options.channels[kind];
    const before = this.#published.get(id);
    this.#kept.delete(id);
    if (publication) {
      channel.set(publication.key, publication.value);
      this.#published.set(id, publication.key);
    } else this.#published.delete(id);
    if (before !== undefined && before !== publication?.key) channel.delete(before);
  }

  #skip(id: string, error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (this.#skipped.get(id) === reason) return;
    this.#skipped.set(id, reason);
    this.#options.log.warn('An object was skipped', { object: id, [fields.error]: error });
  }
}

/** Whether a record lacks a backend that the stored one has. What cannot be decoded is nothing to hold on to. */
function losesBackends(name: string, stored: string, next: string): boolean {
  try {
    const after = decodeService(name, next).backends;
    return Object.keys(decodeService(name, stored).backends).some((address) => !Object.hasOwn(after, address));
  } catch {
    return false;
  }
}
