import type { Election, ElectionStatus } from '../../runtime/election/index.ts';
import { Apiserver } from './apiserver.ts';
import type { ApiserverOptions } from './options.ts';
import type { ApiserverStatus } from './status.ts';

/** One of several apiservers of a cluster, as its status shows it. */
export interface ReplicaStatus extends ApiserverStatus {
  /** Absent where there is only one replica. */
  readonly election?: ElectionStatus;
}

/**
 * An apiserver that publishes while it leads, or always without an election. Each term begins anew: what the source lists
 * is compared with what the store holds, keys are taken over to leases of this process by puts, and nothing is removed
 * before everything was read. So readers see no record disappear when another replica takes over.
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

  /** True while another replica leads. */
  get standby(): boolean {
    const election = this.#election?.status();
    return election !== undefined && !election.leading && election.leader !== undefined;
  }

  status(): ReplicaStatus {
    const election = this.#election?.status();
    const status = this.#apiserver.status();
    if (!election) return status;
    const waitingFor = election.leading
      ? status.waitingFor
      : [election.leader === undefined ? 'an election' : `${election.leader}, who leads`];
    return { ...status, waitingFor, election };
  }

  /** Publishes whenever it leads, until `signal` aborts. @throws when the store cannot be read or was closed. */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#election) await this.#election.run(signal, (term) => this.#publish(term));
    else await this.#publish(signal);
  }

  async #publish(signal: AbortSignal): Promise<void> {
    try {
      await this.#apiserver.run(signal);
    } finally {
      await this.#apiserver[Symbol.asyncDispose]();
      this.#apiserver = new Apiserver(this.#options);
    }
  }
}
