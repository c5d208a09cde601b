import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../runtime/clock/index.ts';
import { type Logger, fields } from '../../runtime/log/index.ts';
import { exponential } from '../../runtime/retry/index.ts';
import { type NodeRoute, changeRoutes, reconcileRoutes } from '../../tunnel/index.ts';
import type { NetworkPort } from '../../kernel/index.ts';
import type { WholeReconciler } from './reconcile-loop.ts';

const backoff = exponential({ firstMs: 200, maxMs: 30_000 });

export interface RouteReconcilerDeps {
  readonly network: NetworkPort;
  /** The route to a destination; undefined when there should be none. */
  readonly desired: (destination: string) => NodeRoute | undefined;
  /** Every destination that may have a route. */
  readonly destinations: () => Iterable<string>;
  readonly clock: Clock;
  readonly log: Logger;
}

/** The routes of the node's own namespace toward pods of other nodes: those that are marked, and all of them in an audit. */
export class RouteReconciler implements WholeReconciler {
  readonly name = 'routes';
  readonly #deps: RouteReconcilerDeps;
  readonly #marked = new Set<string>();
  /** Destinations that have a route, as last written. */
  readonly #written = new Map<string, NodeRoute>();
  #audit = true;
  #failures = 0;
  #retryAtMs = 0;

  constructor(deps: RouteReconcilerDeps) {
    this.#deps = deps;
  }

  get due(): boolean {
    return (this.#audit || this.#marked.size > 0) && (this.retryInMs ?? 0) === 0;
  }

  get retryInMs(): number | undefined {
    return this.#failures === 0 ? undefined : Math.max(0, this.#retryAtMs - this.#deps.clock.monotonicMs());
  }

  get count(): number {
    return this.#written.size;
  }

  mark(destination: string): void {
    this.#marked.add(destination);
  }

  async reconcile({ prune, force }: { readonly prune: boolean; readonly force: boolean }): Promise<void> {
    const { clock, log } = this.#deps;
    const marked = [...this.#marked];
    const whole = force || this.#audit;
    this.#marked.clear();
    this.#audit = false;
    try {
      if (whole) await this.#compareAll(prune);
      else await this.#change(marked, prune);
      this.#failures = 0;
    } catch (error) {
      // What was written before the failure, only the kernel knows.
      this.#audit = true;
      this.#failures++;
      const delayMs = backoff(this.#failures, Math.random());
      this.#retryAtMs = clock.monotonicMs() + delayMs;
      log.warn('Cannot write the routes of this node', {
        [fields.error]: error,
        [fields.attempt]: this.#failures,
        [fields.delayMs]: Math.round(delayMs),
      });
    }
  }

  async #compareAll(prune: boolean): Promise<void> {
    const { network, desired, destinations } = this.#deps;
    const routes = new Map<string, NodeRoute>();
    for (const destination of destinations()) {
      const route = desired(destination);
      if (route) routes.set(destination, route);
    }
    await reconcileRoutes(network, routes.values(), { prune });
    this.#written.clear();
    for (const [destination, route] of routes) this.#written.set(destination, route);
  }

  /** Before pruning has begun nothing is removed: the audit that begins it finds what is too much. */
  async #change(destinations: readonly string[], prune: boolean): Promise<void> {
    const upsert: NodeRoute[] = [];
    const remove: NodeRoute[] = [];
    for (const destination of destinations.toSorted()) {
      const before = this.#written.get(destination);
      const route = this.#deps.desired(destination);
      if (route) {
        if (!isDeepStrictEqual(before, route)) upsert.push(route);
        this.#written.set(destination, route);
      } else if (before) {
        this.#written.delete(destination);
        if (prune) remove.push(before);
      }
    }
    if (upsert.length + remove.length > 0) await changeRoutes(this.#deps.network, { upsert, remove });
  }
}
