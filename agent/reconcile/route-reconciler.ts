import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential } from '../../runtime/retry/index.ts';
import { type NodeRoute, reconcileRoutes } from '../../tunnel/index.ts';
import type { NetworkPort } from '../../kernel/index.ts';
import type { WholeReconciler } from './reconcile-loop.ts';

const backoff = exponential({ firstMs: 200, maxMs: 30_000 });

/** The routes of the node's own namespace toward pods of other nodes; few, so each time all of them are compared. */
export class RouteReconciler implements WholeReconciler {
  readonly name = 'routes';
  readonly #network: NetworkPort;
  readonly #desired: () => readonly NodeRoute[];
  readonly #clock: Clock;
  readonly #log: Logger;
  #due = true;
  #failures = 0;
  #retryAtMs = 0;
  #count = 0;

  constructor(deps: {
    readonly network: NetworkPort;
    readonly desired: () => readonly NodeRoute[];
    readonly clock: Clock;
    readonly log: Logger;
  }) {
    this.#network = deps.network;
    this.#desired = deps.desired;
    this.#clock = deps.clock;
    this.#log = deps.log;
  }

  get due(): boolean {
    return this.#due && (this.retryInMs ?? 0) === 0;
  }

  get retryInMs(): number | undefined {
    return this.#failures === 0 ? undefined : Math.max(0, this.#retryAtMs - this.#clock.monotonicMs());
  }

  get count(): number {
    return this.#count;
  }

  mark(): void {
    this.#due = true;
  }

  async reconcile({ prune }: { readonly prune: boolean }): Promise<void> {
    this.#due = false;
    try {
      const desired = this.#desired();
      await reconcileRoutes(this.#network, desired, { prune });
      this.#count = desired.length;
      this.#failures = 0;
    } catch (error) {
      this.#due = true;
      this.#failures++;
      const delayMs = backoff(this.#failures, Math.random());
      this.#retryAtMs = this.#clock.monotonicMs() + delayMs;
      this.#log.warn('Cannot write the routes of this node', {
        [fields.error]: error,
        [fields.attempt]: this.#failures,
        [fields.delayMs]: Math.round(delayMs),
      });
    }
  }
}
