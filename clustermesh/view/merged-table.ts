import { ChangeLog } from './change-log.ts';
import { type Origin, type Sourced, sameClaimant } from './origin.ts';
import type { VersionSource } from './version-source.ts';

interface Claim<V> {
  record: V;
  readonly origin: Origin;
  /** Order of the claims of one key; a later one wins among remote clusters. */
  readonly order: number;
}

/**
 * Keys that several origins may claim, with one winner each. Nearly every key has one claim, so that is one object and
 * one map entry; further claims wait in a second map that is usually empty.
 */
export class MergedTable<K, V> {
  readonly #winners = new Map<K, Claim<V>>();
  readonly #losers = new Map<K, Claim<V>[]>();
  /** By the name of a cluster, what it claims, whether it wins or not: what one of 255 says is asked for again and again. */
  readonly #claimed = new Map<string, Set<K>>();
  readonly #ownCluster: string;
  readonly #versions: VersionSource;
  readonly #log: ChangeLog<K>;
  readonly #same: (a: V, b: V) => boolean;
  #order = 0;

  constructor(
    ownCluster: string,
    versions: VersionSource,
    options: { readonly same: (a: V, b: V) => boolean; readonly logCapacity: number },
  ) {
    this.#ownCluster = ownCluster;
    this.#versions = versions;
    this.#log = new ChangeLog(options.logCapacity);
    this.#same = options.same;
  }

  get size(): number {
    return this.#winners.size;
  }

  get(key: K): Sourced<V> | undefined {
    return this.#winners.get(key);
  }

  keys(): Iterable<K> {
    return this.#winners.keys();
  }

  values(): Iterable<Sourced<V>> {
    return this.#winners.values();
  }

  /** Keys whose winner changed, gone ones included; `undefined` when that is no longer known. */
  since(version: number): ReadonlySet<K> | undefined {
    return this.#log.since(version);
  }

  /** Saying the same again changes nothing, not even who said it last: a relisting must not move an address. */
  upsert(origin: Origin, key: K, record: V): void {
    const winner = this.#winners.get(key);
    const claim = winner && this.#claimOf(winner, key, origin);
    if (claim && this.#same(claim.record, record)) return;
    const next: Claim<V> = { record, origin, order: ++this.#order };
    if (!claim) this.#note(origin.cluster, key);
    if (!winner || winner === claim || this.#beats(next, winner)) {
      if (claim && winner !== claim) this.#forget(key, claim);
      if (winner && winner !== claim) this.#waits(key, winner);
      this.#winners.set(key, next);
      this.#log.record(this.#versions.next(), key);
    } else {
      if (claim) this.#forget(key, claim);
      this.#waits(key, next);
    }
  }

  /** False when the origin claimed no such key. */
  remove(origin: Origin, key: K): boolean {
    const winner = this.#winners.get(key);
    const claim = winner && this.#claimOf(winner, key, origin);
    if (!claim) return false;
    if (claim !== winner) this.#forget(key, claim);
    else {
      const heir = this.#losers.get(key)?.reduce((best, other) => (this.#beats(other, best) ? other : best));
      if (heir) {
        this.#forget(key, heir);
        this.#winners.set(key, heir);
      } else {
        this.#winners.delete(key);
      }
      this.#log.record(this.#versions.next(), key);
    }
    this.#unnote(origin.cluster, key);
    return true;
  }

  /** Whether `origin` claims a key, and wins it or not. */
  isClaimed(origin: Origin, key: K): boolean {
    const winner = this.#winners.get(key);
    return winner !== undefined && this.#claimOf(winner, key, origin) !== undefined;
  }

  /** Keys that `origin` claims, whether it wins them or not. The caller may remove each one as it comes. */
  *claimedBy(origin: Origin): Iterable<K> {
    for (const key of this.#claimed.get(origin.cluster) ?? [])
      for (const claim of this.#claimsOf(key)) if (sameClaimant(claim.origin, origin)) yield key;
  }

  /** What `cluster` says at this moment, whether it wins or not. */
  saidBy(cluster: string): V[] {
    const said: V[] = [];
    for (const key of this.#claimed.get(cluster) ?? [])
      for (const { origin, record } of this.#claimsOf(key)) if (origin.cluster === cluster) said.push(record);
    return said;
  }

  #claimsOf(key: K): readonly Claim<V>[] {
    const winner = this.#winners.get(key);
    const others = this.#losers.get(key);
    return winner === undefined ? [] : others === undefined ? [winner] : [winner, ...others];
  }

  #note(cluster: string, key: K): void {
    const keys = this.#claimed.get(cluster);
    if (keys) keys.add(key);
    else this.#claimed.set(cluster, new Set([key]));
  }

  #unnote(cluster: string, key: K): void {
    if (this.#claimsOf(key).some(({ origin }) => origin.cluster === cluster)) return;
    const keys = this.#claimed.get(cluster);
    if (keys?.delete(key) && keys.size === 0) this.#claimed.delete(cluster);
  }

  #claimOf(winner: Claim<V>, key: K, origin: Origin): Claim<V> | undefined {
    if (sameClaimant(winner.origin, origin)) return winner;
    return this.#losers.get(key)?.find((claim) => sameClaimant(claim.origin, origin));
  }

  #beats(a: Claim<V>, b: Claim<V>): boolean {
    const aOwn = a.origin.cluster === this.#ownCluster;
    const bOwn = b.origin.cluster === this.#ownCluster;
    return aOwn === bOwn ? a.order > b.order : aOwn;
  }

  #waits(key: K, claim: Claim<V>): void {
    const waiting = this.#losers.get(key);
    if (waiting) waiting.push(claim);
    else this.#losers.set(key, [claim]);
  }

  #forget(key: K, claim: Claim<V>): void {
    const rest = (this.#losers.get(key) ?? []).filter((other) => other !== claim);
    if (rest.length > 0) this.#losers.set(key, rest);
    else this.#losers.delete(key);
  }
}
