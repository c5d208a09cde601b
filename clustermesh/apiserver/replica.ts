import { FencedError, claimTerm, fencedStore, urgentStore } from '../../kvstore/index.ts';
import { fields } from '../../runtime/log/index.ts';
import { exponential, retry } from '../../runtime/retry/index.ts';
import { TaskGroup, linkedController } from '../../runtime/tasks/index.ts';
import type { Election, ElectionStatus } from '../../runtime/election/index.ts';
import { Apiserver } from './apiserver.ts';
import { Caretaker } from './caretaker.ts';
import { LeaderWatch } from './leader-watch.ts';
import type { ApiserverOptions } from './options.ts';
import { publishedSetsOf } from './published-sets.ts';
import { leaderKey, termKey } from '../wire/index.ts';
import type { ApiserverStatus } from './status.ts';

/** How often one that waits for its turn asks the store whether it is there. */
const lookEveryMs = 5_000;

/** One of several apiservers of a cluster, as its status shows it. */
export interface ReplicaStatus extends ApiserverStatus {
  /** Absent where there is only one replica. */
  readonly election?: ElectionStatus;
}

/**
 * An apiserver that publishes while it leads, or always without an election. Each term begins anew: what the source lists
 * is compared with what the store holds, keys are taken over to leases of this process by puts, and nothing is removed
 * before everything was read. So readers see no record disappear when another replica takes over. All writes of a term are
 * fenced by it: what a replica writes that stood still while another took over changes nothing.
 */
export class ApiserverReplica {
  readonly #options: ApiserverOptions;
  readonly #election: Election | undefined;
  /** The one of this term; between terms one that has not been started. */
  #apiserver: Apiserver;

  constructor(options: ApiserverOptions, election?: Election) {
    this.#options = options;
    this.#election = election;
    this.#apiserver = new Apiserver(options);
  }

  /** True for one that publishes everything, and for one that waits for its turn. */
  get ready(): boolean {
    return this.standby || this.#apiserver.ready;
  }

  /** True while this one leads and everything is published: only then its start is over, for limits on what it may ask of the store. */
  get published(): boolean {
    return this.#apiserver.ready;
  }

  /** True while another replica leads. Who has lost the office and cannot ask for it again last knew itself as the leader. */
  get standby(): boolean {
    const election = this.#election?.status();
    if (!election || election.leading) return false;
    return election.leader !== undefined && election.leader !== election.identity;
  }

  status(): ReplicaStatus {
    const election = this.#election?.status();
    const status = this.#apiserver.status();
    if (!election) return status;
    const waitingFor = election.leading
      ? status.waitingFor
      : [this.standby ? `${election.leader}, who leads` : 'an election'];
    return { ...status, waitingFor, election };
  }

  /** Publishes whenever it leads, until `signal` aborts. @throws when the store cannot be read or was closed. */
  async run(signal: AbortSignal): Promise<void> {
    const election = this.#election;
    if (!election) return await this.#publish(this.#options, signal);
    await using beside = new TaskGroup(signal);
    const leader = new LeaderWatch(this.#options);
    beside.run((running) => this.#keepInTouch(leader, running));
    beside.run((running) => this.#careWhileNobodyLeads(election, leader, running));
    for (;;)
      try {
        return await election.run(signal, (term) => this.#lead(election, term));
      } catch (error) {
        if (!(error instanceof FencedError)) throw error;
        this.#options.log.warn('Another replica publishes, standing by', { [fields.error]: error });
      }
  }

  /**
   * Who waits for a Lease of Kubernetes has nothing to ask of the store: it would not be connected, so never ready, and
   * notice a store that it cannot reach only when it is its turn.
   */
  async #keepInTouch(leader: LeaderWatch, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#options;
    for (;;) {
      if (this.#election?.status().leading !== true)
        try {
          await leader.look(signal);
        } catch (error) {
          signal.throwIfAborted();
          log.debug('The store does not answer', { [fields.error]: error });
        }
      await clock.sleep(lookEveryMs, signal);
    }
  }

  /**
   * A Lease that nobody can read or write, because the API server is away, lets nobody lead who does not already. If nobody does, as after a
   * restart, what was published stays all the same: one of those that wait keeps it, as it is.
   */
  async #careWhileNobodyLeads(election: Election, leader: LeaderWatch, signal: AbortSignal): Promise<void> {
    const { clusterName, store, clock, log, leaseTtlSeconds = 900 } = this.#options;
    const isNeeded = (): boolean => {
      const { leading, error } = election.status();
      return !leading && error !== undefined && leader.silent;
    };
    const care = async (attempt: AbortSignal): Promise<never> => {
      for (;;) {
        while (!isNeeded()) await clock.sleep(lookEveryMs, attempt);
        await using lock = await store.lock(`${leaderKey('apiserver')}.caretaker`, { signal: attempt });
        await using caretaker = new Caretaker({
          clusterName,
          sets: publishedSetsOf(this.#options),
          store,
          clock,
          log,
          leaseTtlSeconds,
          mayKeep: async (running) => {
            await leader.look(running);
            return isNeeded() ? [lock.fence(), leader.term()] : undefined;
          },
        });
        await caretaker.run(attempt, () => !isNeeded() || lock.lost.aborted);
      }
    };
    await retry(care, {
      clock,
      signal,
      schedule: exponential({ firstMs: 1_000, maxMs: 30_000 }),
      onFailure: (error) => log.warn('Cannot keep what was published, will be repeated', { [fields.error]: error }),
    });
  }

  /** Publishes for one term. @throws {FencedError} when a write finds that another replica has begun one. */
  async #lead(election: Election, term: AbortSignal): Promise<void> {
    const { store, clock } = this.#options;
    const fence = await claimTerm({ store: urgentStore(store), key: termKey('apiserver'), election, clock }, term);
    using running = linkedController(term);
    const fenced = fencedStore(store, fence, (error) => running.abort(error));
    await this.#publish({ ...this.#options, store: fenced }, running.signal);
    if (!term.aborted) running.signal.throwIfAborted();
  }

  async #publish(options: ApiserverOptions, signal: AbortSignal): Promise<void> {
    this.#apiserver = new Apiserver(options);
    try {
      await this.#apiserver.run(signal);
    } finally {
      await this.#apiserver[Symbol.asyncDispose]();
      this.#apiserver = new Apiserver(this.#options);
    }
  }
}
