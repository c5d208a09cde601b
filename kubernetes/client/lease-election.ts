import type { Clock, Timer } from '../../runtime/clock/index.ts';
import type { Election, ElectionStatus } from '../../runtime/election/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { abortReason, isAbort, linkedController } from '../../runtime/tasks/index.ts';
import { ApiError } from './api-error.ts';
import type { ApiServer } from './api-server.ts';
import { type Lease, type LeasePlace, microTime, readLease, writeLease } from './lease.ts';

export interface LeaseElectionOptions extends LeasePlace {
  readonly api: ApiServer;
  /** Names this process among those that stand; never used again by another life. */
  readonly identity: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** A leader that says nothing this long is taken to be dead. Default 10 s, so that the next one leads within 15 s. */
  readonly leaseSeconds?: number;
  /** A leader that could not say anything this long gives up; below the time of the lease. Default 7 s. */
  readonly renewDeadlineMs?: number;
  /**
   * Whatever the leader works on refuses what it does once another one leads (`claimTerm` of `kvstore/fenced`). Then it goes on while
   * the Lease cannot be renewed: an API server that nobody reaches lets nobody else lead, and to stop would be to let go of what was
   * done. It ends when another one holds the Lease.
   */
  readonly fenced?: boolean;
  /** How often a leader renews, and the others look. Default 2 s. */
  readonly retryMs?: number;
  readonly random?: () => number;
}

/** One look or renewal may take this long. */
const attemptMs = 4_000;

/** The term of a leader is over before its work was. */
export class LeadershipLostError extends Error {
  readonly code = 'LEADERSHIP_LOST';

  constructor(message: string) {
    super(message);
    this.name = 'LeadershipLostError';
  }
}

/**
 * Election by a Lease, in the manner of Kubernetes' own controllers: the record is never compared with our wall clock, a
 * leader is dead when its record has not changed for its duration as we measure it. A leader gives up before the others
 * may take over, also when an answer does not come. An orderly end releases the Lease.
 */
export class LeaseElection implements Election {
  readonly description: string;
  readonly #options: LeaseElectionOptions;
  readonly #leaseSeconds: number;
  readonly #renewDeadlineMs: number;
  readonly #retryMs: number;
  /** The record as we saw it last, and since when it has been so. */
  #seen: { readonly lease: Lease; readonly sinceMs: number } | undefined;
  #leading = false;
  #error: string | undefined;

  constructor(options: LeaseElectionOptions) {
    const { leaseSeconds = 10, renewDeadlineMs = 7_000, retryMs = 2_000 } = options;
    if (!Number.isInteger(leaseSeconds) || leaseSeconds < 1 || renewDeadlineMs >= leaseSeconds * 1_000)
      throw new RangeError(
        `A leader must give up (after ${renewDeadlineMs} ms) before its Lease of ${leaseSeconds} whole seconds ends`,
      );
    this.description = `Lease ${options.namespace}/${options.name}`;
    this.#options = options;
    this.#leaseSeconds = leaseSeconds;
    this.#renewDeadlineMs = renewDeadlineMs;
    this.#retryMs = retryMs;
  }

  status(): ElectionStatus {
    const leader = this.#seen?.lease.holder ?? '';
    return {
      identity: this.#options.identity,
      leading: this.#leading,
      ...(leader === '' ? {} : { leader }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  async confirm(signal: AbortSignal): Promise<boolean> {
    return (await readLease(this.#options.api, this.#options, signal))?.holder === this.#options.identity;
  }

  async run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const { log } = this.#options;
    for (;;) {
      const heldSinceMs = await this.#acquire(signal);
      log.info('Leading now', { lease: this.description });
      if (await this.#term(heldSinceMs, signal, lead)) return;
      log.warn('Not leading any more', { lease: this.description });
    }
  }

  /** Waits for the Lease. @returns the time of the record that we hold it by. */
  async #acquire(signal: AbortSignal): Promise<number> {
    const { clock } = this.#options;
    for (;;) {
      const startedMs = clock.monotonicMs();
      try {
        if (await this.#tryToHold(signal)) return startedMs;
        this.#wentWell();
      } catch (error) {
        if (signal.aborted) throw abortReason(signal);
        this.#failed(error);
      }
      await clock.sleep(this.#jittered(), signal);
    }
  }

  /** Looks, and takes or renews the Lease where that is ours to do. */
  async #tryToHold(running: AbortSignal): Promise<boolean> {
    const { api, identity, clock } = this.#options;
    using limit = linkedController(running);
    using _timer = clock.timer(attemptMs, () => limit.abort(new Error(`No answer within ${attemptMs / 1_000} s`)));
    const { signal } = limit;
    const lease = await readLease(api, this.#options, signal);
    if (lease) this.#note(lease);
    if (lease && lease.holder !== identity && !this.#isOver(lease)) return false;
    const now = microTime(clock.now());
    const renewing = lease?.holder === identity;
    const written = await writeLease(
      api,
      this.#options,
      {
        resourceVersion: lease?.resourceVersion,
        holder: identity,
        durationSeconds: this.#leaseSeconds,
        acquireTime: renewing ? lease.acquireTime : now,
        renewTime: now,
        transitions: lease && !renewing ? lease.transitions + 1 : (lease?.transitions ?? 0),
      },
      signal,
    );
    if (written) this.#note(written);
    return written !== undefined;
  }

  /** One term. @returns true when the work has ended by itself, false when the term was taken away. @throws what the work throws. */
  async #term(
    heldSinceMs: number,
    signal: AbortSignal,
    lead: (signal: AbortSignal) => Promise<void>,
  ): Promise<boolean> {
    using term = linkedController(signal);
    using renewing = linkedController(term.signal);
    this.#leading = true;
    const kept = this.#keep(heldSinceMs, term, renewing.signal);
    try {
      await lead(term.signal);
      signal.throwIfAborted();
      return !term.signal.aborted;
    } catch (error) {
      if (signal.aborted) throw abortReason(signal);
      if (!term.signal.aborted) throw error;
      if (!isAbort(error, term.signal))
        this.#options.log.warn('What the leader did has ended with an error', { [fields.error]: error });
      return false;
    } finally {
      const lost = term.signal.aborted && !signal.aborted;
      renewing.abort(new DOMException('The term has ended', 'AbortError'));
      await kept;
      this.#leading = false;
      if (!lost) await this.#release();
    }
  }

  /** Renews until told to stop; ends the term when another one holds the Lease, or where the work is not fenced that was not possible for too long. */
  async #keep(heldSinceMs: number, term: AbortController, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const giveUp = (): void =>
      term.abort(
        new LeadershipLostError(`${this.description} could not be renewed in time: ${this.#error ?? 'no answer'}`),
      );
    const limit = (sinceMs: number): Timer | undefined =>
      this.#options.fenced === true
        ? undefined
        : clock.timer(this.#renewDeadlineMs - (clock.monotonicMs() - sinceMs), giveUp);
    let deadline = limit(heldSinceMs);
    try {
      while (!signal.aborted) {
        await clock.sleep(this.#retryMs, signal);
        const startedMs = clock.monotonicMs();
        try {
          if (await this.#tryToHold(signal)) {
            this.#wentWell();
            deadline?.[Symbol.dispose]();
            deadline = limit(startedMs);
          } else if (this.#seen && this.#seen.lease.holder !== this.#options.identity)
            term.abort(new LeadershipLostError(`${this.description} is held by ${this.#seen.lease.holder} now`));
        } catch (error) {
          if (signal.aborted) return;
          this.#failed(error);
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      deadline?.[Symbol.dispose]();
    }
  }

  /** So that the next one need not wait for the Lease to run out. What does not succeed runs out. */
  async #release(): Promise<void> {
    const { api, clock, identity, log } = this.#options;
    const { lease } = this.#seen ?? {};
    if (lease?.holder !== identity) return;
    const limit = new AbortController();
    using _timer = clock.timer(this.#retryMs, () => limit.abort(new Error('No answer in time')));
    try {
      const released = { ...lease, holder: '', durationSeconds: 1, renewTime: microTime(clock.now()) };
      const written = await writeLease(api, this.#options, released, limit.signal);
      if (written) this.#note(written);
    } catch (error) {
      log.warn('Cannot release the Lease: it runs out', { lease: this.description, [fields.error]: error });
    }
  }

  #note(lease: Lease): void {
    const before = this.#seen?.lease;
    if (before?.holder !== lease.holder)
      this.#options.log.info('The leader is', { lease: this.description, leader: lease.holder || 'nobody' });
    if (before?.resourceVersion !== lease.resourceVersion)
      this.#seen = { lease, sinceMs: this.#options.clock.monotonicMs() };
  }

  /** Whether its holder has released it, or has said nothing for as long as it promised to. */
  #isOver(lease: Lease): boolean {
    if (lease.holder === '') return true;
    const sinceMs = this.#seen?.sinceMs ?? this.#options.clock.monotonicMs();
    return this.#options.clock.monotonicMs() - sinceMs >= lease.durationSeconds * 1_000;
  }

  /** Those that wait do not all ask at once. */
  #jittered(): number {
    const { random = Math.random } = this.#options;
    return this.#retryMs * (0.8 + 0.2 * random());
  }

  #wentWell(): void {
    this.#error = undefined;
  }

  #failed(error: unknown): void {
    const reason = error instanceof Error ? error.message : String(error);
    if (reason !== this.#error)
      this.#options.log.warn('Cannot read or write the Lease, will be repeated', {
        lease: this.description,
        [fields.error]: reason,
        ...(error instanceof ApiError && error.status === 403
          ? { [fields.hint]: 'Our Role needs get, create and update of leases in this namespace' }
          : {}),
      });
    this.#error = reason;
    if (error instanceof ApiError && error.status === 401) this.#options.api.refresh();
  }
}
