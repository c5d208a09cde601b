import { isDeepStrictEqual } from 'node:util';
import { formatPrefix } from '../values/ip/index.ts';
import type { NodeRoute } from './entry.ts';

export interface RouteChanges {
  /** Sorted by destination. */
  readonly upsert: readonly NodeRoute[];
  readonly remove: readonly NodeRoute[];
}

/** Routes by destination, as {@link routeChanges} compares them. Of equal destinations the last one counts. */
export function indexRoutes(routes: Iterable<NodeRoute>): ReadonlyMap<string, NodeRoute> {
  return new Map([...routes].map((route) => [formatPrefix(route.destination), route]));
}

/** The smallest set of route changes that turns `actual` into `desired`. The order is stable. */
export function routeChanges(
  desired: ReadonlyMap<string, NodeRoute>,
  actual: ReadonlyMap<string, NodeRoute>,
): RouteChanges {
  const byKey = ([a]: readonly [string, NodeRoute], [b]: readonly [string, NodeRoute]): number => (a < b ? -1 : 1);
  const upsert = [...desired].filter(([key, route]) => !isDeepStrictEqual(actual.get(key), route));
  const remove = [...actual].filter(([key]) => !desired.has(key));
  return { upsert: upsert.sort(byKey).map(([, route]) => route), remove: remove.sort(byKey).map(([, route]) => route) };
}
