import type { Clock } from '../../runtime/clock/index.ts';
import type { Election, ElectionStatus } from '../../runtime/election/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { isAbort, linkedController } from '../../runtime/tasks/index.ts';
import { Office, type SeenOffice } from './office.ts';
import type { Store } from './store.ts';

export interface StoreElectionOptions {
  readonly store: Pick<Store, 'get' | 'transact'>;
  readonly key: string;
  /** Name that this process stands under, for people. */
  readonly identity: string;
  /** An office that nobody renews for this long may be taken; 10 s unless told. */
  readonly termMs?: number;
  /** By what others may tell that this process has ended. */
  readonly proof?: string | undefined;
  /** True when the process that gave this proof has certainly ended: its office need not run out. */
  readonly isGone?: (proof: string) => Promise<boolean>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The leader stops this much of a term before others may begin, so that what it has begun can settle. */
const safety = 0.2;
const renewals = 4;
const looks = 8;
const leaveWithinMs = 2_000;

/**
 * Election by one key of a store. A leader renews it four times a term, and counts its time from the moment at which it
 * asked for the last renewal that succeeded; others count from the moment at which they saw that renewal, which is later.
 * So with a term of 10 s a leader that is killed is followed within 12.5 s (a look, a term, a look), and one that was cut
 * off from the store has stopped at least 2 s before.
 *
 * By itself this fences no writes: one that was under way when a term ended, or when the process stood still for longer than that, may
 * still arrive. Who leads writes into a fenced store (`kvstore/fenced`), which refuses it then.
 */
export class StoreElection implements Election {
  readonly description: string;
  readonly #options: StoreElectionOptions;
  readonly #office: Office;
  readonly #termMs: number;
  #leading = false;
  #leader: string | undefined;
  #error: string | undefined;

  constructor(options: StoreElectionOptions) {
    const { store, key, identity: name, proof, termMs = 10_000 } = options;
    this.#options = options;
    this.#termMs = termMs;
    this.#office = new Office(store, key, { name, ...(proof === undefined ? {} : { proof }) });
    this.description = `key ${key}`;
  }

  status(): ElectionStatus {
    return {
      identity: this.#options.identity,
      leading: this.#leading,
      ...(this.#leader ? { leader: this.#leader } : {}),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
  }

  async confirm(signal: AbortSignal): Promise<boolean> {
    return this.#office.isOurs(await this.#office.look(signal));
  }

  async run(signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<void> {
    for (;;) {
      const won = await this.#win(signal);
      this.#options.log.info('Leading', { [fields.key]: this.#options.key });
      if (await this.#serve(won, signal, lead)) return;
      signal.throwIfAborted();
      this.#options.log.warn('No longer leading', {
        [fields.key]: this.#options.key,
        ...(this.#error === undefined ? {} : { [fields.error]: this.#error }),
      });
    }
  }

  async #win(signal: AbortSignal): Promise<Term> {
    const { clock, key, log } = this.#options;
    let seen: { readonly revision: number; readonly sinceMs: number } | undefined;
    for (;;) {
      signal.throwIfAborted();
      try {
        const office = await this.#office.look(signal);
        this.#leader = office.holder?.name;
        const nowMs = clock.monotonicMs();
        if (seen?.revision !== office.revision) seen = { revision: office.revision, sinceMs: nowMs };
        const ranOut = nowMs - seen.sinceMs >= this.#termMs;
        if (ranOut || (await this.#isFree(office))) {
          const askedMs = clock.monotonicMs();
          const revision = await this.#office.take(office.revision, signal);
          if (revision !== undefined) return { revision, askedMs };
        }
        this.#error = undefined;
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        const problem = messageOf(error);
        if (problem !== this.#error)
          log.warn('Cannot stand for election, will be repeated', { [fields.key]: key, [fields.error]: problem });
        this.#error = problem;
      }
      await clock.sleep(this.#termMs / looks, signal);
    }
  }

  async #isFree(office: SeenOffice): Promise<boolean> {
    if (office.revision === 0 || office.holder?.name === '' || this.#office.isOurs(office)) return true;
    const proof = office.holder?.proof;
    return proof !== undefined && (await this.#options.isGone?.(proof)) === true;
  }

  /** Leads for one term. True when the work ended by itself. */
  async #serve(won: Term, signal: AbortSignal, lead: (signal: AbortSignal) => Promise<void>): Promise<boolean> {
    using term = linkedController(signal);
    const settled = new AbortController();
    const held: { revision: number | undefined } = { revision: won.revision };
    this.#leading = true;
    this.#leader = this.#options.identity;
    const renewal = this.#renew(won, held, settled.signal).then(() => {
      this.#leading = false;
      term.abort(new DOMException('The term is over', 'AbortError'));
    });
    try {
      await lead(term.signal);
      return !term.signal.aborted;
    } catch (error) {
      if (!term.signal.aborted) throw error;
      if (!isAbort(error, term.signal))
        this.#options.log.warn('Ended badly after the term was over', { [fields.error]: error });
      return false;
    } finally {
      settled.abort();
      await renewal;
      if (held.revision !== undefined) await this.#leave(held.revision);
    }
  }

  /** Settles when the office is lost, or when it need not be held any longer. `held` says what can be given up. */
  async #renew(won: Term, held: { revision: number | undefined }, settled: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    let { revision, askedMs } = won;
    let pauseMs = this.#termMs / renewals;
    try {
      for (;;) {
        const leftMs = askedMs + this.#termMs * (1 - safety) - clock.monotonicMs();
        await clock.sleep(Math.max(0, Math.min(pauseMs, leftMs)), settled);
        const nowMs = clock.monotonicMs();
        const endMs = askedMs + this.#termMs * (1 - safety);
        if (nowMs >= endMs) break;
        using asking = linkedController(settled);
        using _timer = clock.timer(endMs - nowMs, () =>
          asking.abort(new DOMException('The store has not answered in time', 'TimeoutError')),
        );
        try {
          const renewed = await this.#office.take(revision, asking.signal);
          if (renewed !== undefined) askedMs = nowMs;
          const now = renewed ?? (await this.#ownRevision(asking.signal));
          if (now === undefined) break;
          revision = now;
          held.revision = now;
          // A write whose answer was lost has renewed it at a time that is not known: once more.
          pauseMs = renewed === undefined ? 0 : this.#termMs / renewals;
          this.#error = undefined;
        } catch (error) {
          settled.throwIfAborted();
          this.#error = messageOf(error);
          pauseMs = this.#termMs / renewals / 5;
        }
      }
      held.revision = undefined;
    } catch (error) {
      if (!isAbort(error, settled)) throw error;
    }
  }

  /** Its revision if it is ours nevertheless. */
  async #ownRevision(signal: AbortSignal): Promise<number | undefined> {
    const office = await this.#office.look(signal);
    return this.#office.isOurs(office) ? office.revision : undefined;
  }

  /** So that the next one need not wait. A store that does not answer must not hold up the end. */
  async #leave(revision: number): Promise<void> {
    const ending = new AbortController();
    using _timer = this.#options.clock.timer(leaveWithinMs, () => ending.abort());
    try {
      await this.#office.leave(revision, ending.signal);
    } catch (error) {
      this.#options.log.debug('Cannot give up an office', { [fields.error]: error });
    } finally {
      this.#leading = false;
      this.#leader = undefined;
    }
  }
}

interface Term {
  readonly revision: number;
  /** Monotonic time when it was asked for. */
  readonly askedMs: number;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
