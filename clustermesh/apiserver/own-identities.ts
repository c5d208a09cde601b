import { IdentityAllocator, type Store, type SyncStore } from '../../kvstore/index.ts';
import type { Clock } from '../../runtime/clock/index.ts';
import type { Logger } from '../../runtime/log/index.ts';
import { TaskGroup } from '../../runtime/tasks/index.ts';
import { identityRange } from '../../values/identity/index.ts';
import {
  type RemoteOrigin,
  heldNumbersPrefix,
  hiddenIdentityPrefix,
  identityQuestionKey,
  identityReferencePrefix,
  restingNumbersPrefix,
  watchPrefix,
} from '../wire/index.ts';
import { HeldAnswers } from './held-numbers.ts';
import { IdentityOpening } from './identity-opening.ts';
import type { KnownObjects } from './known-objects.ts';
import type { Wake } from './wake.ts';

export interface OwnIdentitiesOptions {
  readonly origin: RemoteOrigin;
  readonly store: Store;
  readonly objects: KnownObjects;
  /** Where the question to the nodes is written. */
  readonly meta: Pick<SyncStore, 'set' | 'synced'>;
  readonly wake: Wake;
  readonly clock: Clock;
  readonly log: Logger;
  readonly openingMs?: number | undefined;
  readonly graceMs?: number | undefined;
}

/**
 * The identities of a cluster whose apiserver gives them, and when it may: not before the nodes have said which ones they use, in answer
 * to a question of this life and of this content of the store.
 */
export class OwnIdentities {
  readonly allocator: IdentityAllocator;
  readonly #options: OwnIdentitiesOptions;
  readonly #answers: HeldAnswers;
  readonly #opening: IdentityOpening;
  #asked = false;
  /** The store holds the question of an earlier life: it was neither lost nor emptied since. */
  #followsEarlier = false;

  constructor(options: OwnIdentitiesOptions) {
    this.#options = options;
    const { origin, store, objects, wake, clock, log, openingMs = 30_000, graceMs } = options;
    this.#answers = new HeldAnswers(origin);
    this.#opening = new IdentityOpening({
      nodes: () => (objects.isSynced('Node') ? this.#nodesToHear() : undefined),
      asked: () => this.#asked,
      spoken: () => this.#answers.among(this.allocator.holders),
      wake,
      clock,
      log,
      longestMs: openingMs,
    });
    this.allocator = new IdentityAllocator({
      store,
      prefix: watchPrefix('identities', origin.cluster),
      hiddenPrefix: hiddenIdentityPrefix,
      range: identityRange(origin.clusterId, origin.maxConnectedClusters),
      clock,
      log,
      referencePrefix: identityReferencePrefix,
      holders: { prefix: heldNumbersPrefix, read: this.#answers.read },
      opening: (signal) => this.#opening.opened(signal),
      onReplaced: () => this.#storeReplaced(),
      restPrefix: restingNumbersPrefix,
      ...(graceMs === undefined ? {} : { graceMs }),
    });
  }

  /** Whether identities may be given. */
  get isOpen(): boolean {
    return this.#opening.isOpen;
  }

  /** Nodes that hold new identities back. */
  waitingFor(): readonly string[] {
    return this.#opening.waitingFor();
  }

  /** Reads what is in the store; to be done before {@link run}. */
  async load(signal: AbortSignal): Promise<void> {
    await this.allocator.load(signal);
    this.#followsEarlier = (await this.#options.store.get(identityQuestionKey, { signal })) !== undefined;
  }

  /** Looks after the numbers until `signal` aborts. `opened` is called whenever identities may be given that were held back. */
  async run(opened: () => void, signal: AbortSignal): Promise<void> {
    await using tasks = new TaskGroup(signal);
    tasks.run((running) => this.allocator.run(running));
    tasks.run((running) => this.#ask(running));
    tasks.run((running) => this.#open(opened, running));
    await tasks.wait();
  }

  /** Asks agents which identities they use, and again whenever the store's content was replaced. */
  async #ask(signal: AbortSignal): Promise<void> {
    const { meta, wake } = this.#options;
    for (;;) {
      const { question } = this.#answers;
      meta.set(identityQuestionKey, question);
      await meta.synced(signal);
      this.#asked = question === this.#answers.question;
      while (question === this.#answers.question) await wake.next(signal);
    }
  }

  async #open(opened: () => void, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#opening.opened(signal);
      opened();
      while (this.#opening.isOpen) await this.#options.wake.next(signal);
    }
  }

  #storeReplaced(): void {
    this.#answers.ask();
    this.#asked = false;
    this.#followsEarlier = false;
    this.#opening.close();
    this.#options.wake.notify();
  }

  /**
   * Whose agents are to say which identities they use. A store that was lost has also lost what those said that are not ready,
   * and their pods may go on; where it was not, the identities that they use are in it.
   */
  #nodesToHear(): string[] {
    return [...this.#options.objects.all('Node')]
      .filter((node) => node.status.ready || !this.#followsEarlier)
      .map((node) => node.metadata.name);
  }
}
