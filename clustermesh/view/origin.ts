/** Where a fact comes from: a cluster's name, the own one included. */
export interface Origin {
  readonly cluster: string;
  readonly clusterId: number;
}

/** A record and who says it. */
export interface Sourced<V> {
  readonly record: V;
  readonly origin: Origin;
}
