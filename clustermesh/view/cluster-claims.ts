import { type Origin, claimantOf } from './origin.ts';

/** What a table of addresses knows of one cluster's claims. */
export interface Claims {
  readonly origin: Origin;
  rows: number;
  /** Rows that the present listing has seen. */
  seen: number;
  generation: number;
}

/** The clusters that claim addresses, each with a small number. */
export class ClusterClaims {
  readonly #all: Claims[] = [];
  readonly #scopes = new Map<string, number>();

  scopeOf(origin: Origin): number {
    const claimant = claimantOf(origin);
    const known = this.#scopes.get(claimant);
    if (known !== undefined) return known;
    const scope = this.#all.push({ origin, rows: 0, seen: 0, generation: 0 }) - 1;
    this.#scopes.set(claimant, scope);
    return scope;
  }

  find(cluster: string): number | undefined {
    return this.#scopes.get(cluster);
  }

  /** Of everything that speaks for a cluster. */
  scopesOf(cluster: string): number[] {
    return [...this.#scopes.values()].filter((scope) => this.at(scope).origin.cluster === cluster);
  }

  at(scope: number): Claims {
    const claims = this.#all[scope];
    if (!claims) throw new RangeError(`There is no cluster number ${scope}`);
    return claims;
  }
}
