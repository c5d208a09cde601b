import type { Pod } from '../../kubernetes/index.ts';
import { type IdentityAllocator, RangeExhaustedError } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { encodeIdentity, encodeWorkload, keyOfWorkload } from '../wire/index.ts';
import { identityLabelsOf } from './convert/identity-labels.ts';
import type { LabelFilter } from './convert/label-filter.ts';
import { endpointNodeOf, workloadOf } from './convert/placement.ts';
import type { KnownObjects } from './known-objects.ts';
import type { KeyRecord } from './owned-keys.ts';
import { type Unit, unitId } from './units.ts';

export interface PodRecordsOptions {
  readonly cluster: string;
  readonly objects: KnownObjects;
  readonly allocator: IdentityAllocator;
  /** Whether identities may be given. */
  readonly opened: () => boolean;
  readonly labels: LabelFilter;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Pods become workloads of their nodes; each refers to the identity of its labels for as long as it is there. */
export class PodRecords {
  readonly #options: PodRecordsOptions;
  /** Identity text of each pod that holds a reference. */
  readonly #identities = new Map<string, string>();
  readonly #withoutIdentity = new Map<string, { readonly unit: Unit; readonly error: RangeExhaustedError }>();

  constructor(options: PodRecordsOptions) {
    this.#options = options;
  }

  /** Pods for which no number was free, with the error. */
  get withoutIdentity(): ReadonlyMap<string, { readonly unit: Unit; readonly error: RangeExhaustedError }> {
    return this.#withoutIdentity;
  }

  /**
   * False for a pod that needs an identity, as long as none may be given. One that the store knows is no exception: in a store
   * that was put back, the number may mean what it meant long ago.
   */
  mayDecide(unit: Unit): boolean {
    const { objects, opened } = this.#options;
    if (opened()) return true;
    const pod = objects.get('Pod', unit.namespace, unit.name);
    return !pod || endpointNodeOf(pod) === undefined;
  }

  /** The node on which a pod has an endpoint. */
  nodeOf({ namespace, name }: Unit): string | undefined {
    const pod = this.#options.objects.get('Pod', namespace, name);
    return pod && endpointNodeOf(pod);
  }

  /**
   * The workload, with an identity that is in the store; none for a pod without endpoint, which gives its identity back.
   * @param hidden other clusters must not learn of it.
   */
  async of(unit: Unit, hidden: boolean, signal: AbortSignal): Promise<readonly KeyRecord[]> {
    const { objects, allocator } = this.#options;
    const id = unitId(unit);
    const pod = objects.get('Pod', unit.namespace, unit.name);
    const node = pod && endpointNodeOf(pod);
    const held = this.#identities.get(id);
    if (!pod || node === undefined) {
      this.#identities.delete(id);
      this.#withoutIdentity.delete(id);
      if (held !== undefined) allocator.release(held);
      return [];
    }
    const text = this.#textOf(pod);
    const known = text === held ? allocator.idOf(text) : undefined;
    if (known !== undefined) await this.#repeated((attempt) => allocator.setHidden(text, hidden, attempt), signal);
    const identity = known ?? (await this.#allocate(unit, text, hidden, signal));
    if (identity !== 0 && text !== held) {
      this.#identities.set(id, text);
      if (held !== undefined) allocator.release(held);
    }
    const record = workloadOf(pod, node, identity, hidden);
    return [{ key: keyOfWorkload(record), value: encodeWorkload(record) }];
  }

  #textOf(pod: Pod): string {
    const { objects, cluster, labels } = this.#options;
    const namespace = objects.get('Namespace', '', pod.metadata.namespace)?.metadata;
    return encodeIdentity({ labels: identityLabelsOf(pod, namespace?.labels ?? {}, cluster, labels) });
  }

  /** 0 when no number is free: the endpoint stays `reserved:init`, and the pod is named in the status. */
  async #allocate(unit: Unit, text: string, hidden: boolean, signal: AbortSignal): Promise<number> {
    const { allocator } = this.#options;
    const id = unitId(unit);
    try {
      const identity = await this.#repeated((attempt) => allocator.allocate(text, attempt, { hidden }), signal);
      this.#withoutIdentity.delete(id);
      return identity;
    } catch (error) {
      if (!(error instanceof RangeExhaustedError)) throw error;
      this.#withoutIdentity.set(id, { unit, error });
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
}
