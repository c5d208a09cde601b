import type { Clock, Timer } from '../../runtime/clock/index.ts';
import { engineErrors } from './engine-errors.ts';
import type { StoredLease } from './backend.ts';

/** etcd's upper bound, in seconds. */
const maxTtlSeconds = 9_000_000_000;
/** Owners find their way back to a store that was restarted within this time; etcd grants its election timeout. */
const graceSeconds = 5;
/** Longest single wait: timers of Node end at 2³¹ ms. */
const maxWaitMs = 24 * 60 * 60 * 1000;

interface LiveLease {
  readonly id: bigint;
  readonly ttlSeconds: number;
  /** By the monotonic clock. */
  deadlineMs: number;
}

export interface LessorOptions {
  readonly clock: Clock;
  readonly minTtlSeconds: number;
  /** Called with leases whose time ran out; each stays known until {@link Lessor.remove}. */
  readonly expire: (ids: readonly bigint[]) => void;
}

/**
 * Time to live of the leases. One timer, for the earliest deadline: a renewal only moves a number, and the timer finds
 * out when it fires. Nothing expires early: after an orderly restart a lease goes on with the time that it had left, after any
 * other end of the process with its full time, as in etcd.
 */
export class Lessor implements Disposable {
  readonly #options: LessorOptions;
  readonly #leases = new Map<bigint, LiveLease>();
  #timer: Timer | undefined;
  #timerAtMs = Infinity;

  constructor(options: LessorOptions) {
    this.#options = options;
  }

  /** Takes over what the store holds; those known already keep their deadline. */
  load(stored: readonly StoredLease[]): void {
    const known = new Map(this.#leases);
    this.#leases.clear();
    for (const lease of stored) {
      const { id, ttlSeconds, leftSeconds = ttlSeconds } = lease;
      const seconds = Math.min(ttlSeconds, Math.max(graceSeconds, leftSeconds));
      this.#leases.set(id, { id, ttlSeconds, deadlineMs: known.get(id)?.deadlineMs ?? this.#deadline(seconds) });
    }
    this.#arm();
  }

  /** The lease as it would be granted. @throws EngineError */
  prepare(id: bigint, ttlSeconds: number): StoredLease {
    if (ttlSeconds > maxTtlSeconds) throw engineErrors.leaseTtlTooLarge();
    const chosen = id === 0n ? this.#freeId() : id;
    if (this.#leases.has(chosen)) throw engineErrors.leaseExists();
    return { id: chosen, ttlSeconds: Math.max(this.#options.minTtlSeconds, ttlSeconds) };
  }

  add(lease: StoredLease): void {
    const deadlineMs = this.#deadline(lease.ttlSeconds);
    this.#leases.set(lease.id, { ...lease, deadlineMs });
    this.#armFor(deadlineMs);
  }

  has(id: bigint): boolean {
    return this.#leases.has(id);
  }

  remove(id: bigint): void {
    this.#leases.delete(id);
  }

  /** The full time to live, from now on; 0 when the lease does not exist or its time has run out. */
  renew(id: bigint): number {
    const lease = this.#leases.get(id);
    if (!lease || lease.deadlineMs <= this.#options.clock.monotonicMs()) return 0;
    lease.deadlineMs = this.#deadline(lease.ttlSeconds);
    return lease.ttlSeconds;
  }

  /** Whole seconds that remain; `undefined` when there is no such lease. */
  timeToLive(id: bigint): { readonly remaining: number; readonly granted: number } | undefined {
    const lease = this.#leases.get(id);
    if (!lease) return undefined;
    const remaining = Math.trunc((lease.deadlineMs - this.#options.clock.monotonicMs()) / 1000);
    return { remaining, granted: lease.ttlSeconds };
  }

  /** Seconds that each one has left now. */
  left(): ReadonlyMap<bigint, number> {
    const now = this.#options.clock.monotonicMs();
    return new Map([...this.#leases.values()].map(({ id, deadlineMs }) => [id, Math.max(0, deadlineMs - now) / 1000]));
  }

  /** By deadline, as etcd lists them. */
  ids(): bigint[] {
    return [...this.#leases.values()].sort((a, b) => a.deadlineMs - b.deadlineMs).map((lease) => lease.id);
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#leases.clear();
  }

  #deadline(ttlSeconds: number): number {
    return this.#options.clock.monotonicMs() + ttlSeconds * 1000;
  }

  #freeId(): bigint {
    for (;;) {
      const id = BigInt.asUintN(63, crypto.getRandomValues(new BigUint64Array(1))[0] ?? 0n);
      if (id !== 0n && !this.#leases.has(id)) return id;
    }
  }

  #arm(): void {
    let first = Infinity;
    for (const lease of this.#leases.values()) first = Math.min(first, lease.deadlineMs);
    this.#armFor(first);
  }

  #armFor(first: number): void {
    if (first >= this.#timerAtMs || first === Infinity) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerAtMs = first;
    const waitMs = Math.min(maxWaitMs, Math.max(0, first - this.#options.clock.monotonicMs()));
    this.#timer = this.#options.clock.timer(waitMs, () => this.#due());
  }

  #due(): void {
    this.#timer = undefined;
    this.#timerAtMs = Infinity;
    const now = this.#options.clock.monotonicMs();
    const expired = [...this.#leases.values()].filter((lease) => lease.deadlineMs <= now);
    if (expired.length > 0) this.#options.expire(expired.map((lease) => lease.id));
    // Those just handed over are the engine's to remove; looking again soon would only spin.
    this.#armWithout(new Set(expired.map((lease) => lease.id)));
  }

  #armWithout(ids: ReadonlySet<bigint>): void {
    const kept = [...ids].flatMap((id) => this.#leases.get(id) ?? []);
    for (const lease of kept) this.#leases.delete(lease.id);
    this.#arm();
    for (const lease of kept) this.#leases.set(lease.id, lease);
  }
}
