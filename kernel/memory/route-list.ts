import type { Route } from '../ports/index.ts';
import { formatPrefix } from '../../values/ip/index.ts';

/** Routes of a namespace, found by destination and table however many there are. Order is that of destinations' arrival. */
export class RouteList implements Iterable<Route> {
  /** Several for one destination: networks of addresses on several links. */
  readonly #byDestination = new Map<string, Route[]>();
  /** Those without a gateway, which others need to reach theirs: few. */
  readonly #direct = new Set<Route>();

  *[Symbol.iterator](): Iterator<Route> {
    for (const routes of this.#byDestination.values()) yield* routes;
  }

  direct(): Iterable<Route> {
    return this.#direct;
  }

  to(destination: Pick<Route, 'destination' | 'table'>): readonly Route[] {
    return this.#byDestination.get(keyOf(destination)) ?? [];
  }

  /** Takes the place of the first route to the same destination, if there is one: the kernel does, whatever the device. */
  replace(route: Route): void {
    const routes = this.#byDestination.get(keyOf(route));
    const before = routes?.[0];
    if (!routes || !before) {
      this.add(route);
      return;
    }
    this.#direct.delete(before);
    routes[0] = route;
    if (route.gateway === undefined) this.#direct.add(route);
  }

  add(route: Route): void {
    const key = keyOf(route);
    const routes = this.#byDestination.get(key);
    if (routes) routes.push(route);
    else this.#byDestination.set(key, [route]);
    if (route.gateway === undefined) this.#direct.add(route);
  }

  delete(route: Route): void {
    const key = keyOf(route);
    const left = (this.#byDestination.get(key) ?? []).filter((other) => other !== route);
    this.#direct.delete(route);
    if (left.length === 0) this.#byDestination.delete(key);
    else this.#byDestination.set(key, left);
  }

  deleteWhere(gone: (route: Route) => boolean): void {
    for (const route of this) if (gone(route)) this.delete(route);
  }
}

function keyOf({ destination, table }: Pick<Route, 'destination' | 'table'>): string {
  return `${table} ${formatPrefix(destination)}`;
}
