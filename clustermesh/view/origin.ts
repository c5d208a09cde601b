/** Where a fact comes from: a cluster's name, the own one included. */
export interface Origin {
  readonly cluster: string;
  readonly clusterId: number;
  /** Tells two sources of one cluster apart: what one withdraws, the other may still say. */
  readonly layer?: string;
}

/** Who claims a fact: origins that claim together have one. */
export function claimantOf({ cluster, layer }: Origin): string {
  return layer === undefined ? cluster : `${cluster}/${layer}`;
}

export function sameClaimant(a: Origin, b: Origin): boolean {
  return a.cluster === b.cluster && a.layer === b.layer;
}

/** A record and who says it. */
export interface Sourced<V> {
  readonly record: V;
  readonly origin: Origin;
}
