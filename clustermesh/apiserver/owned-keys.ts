import type { SyncStore } from '../../kvstore/index.ts';

/** A key and the value that it is to have. */
export interface KeyRecord {
  readonly key: string;
  readonly value: string | Uint8Array;
}

/**
 * The keys of one channel, and who wants them. Usually one owner wants one key; but two endpoints may claim one address.
 * Then the first who claimed it keeps it, others wait in order; when it is given up the next one's value is written over
 * it, without a delete in between; the last one takes the key along (clustermesh-behaviour §1.3, Cilium 1.20).
 */
export class OwnedKeys {
  readonly #sync: Pick<SyncStore, 'set' | 'delete'>;
  /** Claims in their order: a map keeps that in which its members came. */
  readonly #claims = new Map<string, Map<string, KeyRecord['value']>>();
  readonly #keysOf = new Map<string, ReadonlySet<string>>();

  constructor(sync: Pick<SyncStore, 'set' | 'delete'>) {
    this.#sync = sync;
  }

  /** Owners that have a key, or wait for one. */
  get owners(): number {
    return this.#keysOf.size;
  }

  has(owner: string): boolean {
    return this.#keysOf.has(owner);
  }

  /** What an owner wants from now on. New keys are wished before old ones are given up: a reader never sees neither. */
  replace(owner: string, records: readonly KeyRecord[]): void {
    const before = this.#keysOf.get(owner) ?? new Set();
    const after = new Set(records.map(({ key }) => key));
    if (after.size > 0) this.#keysOf.set(owner, after);
    else this.#keysOf.delete(owner);
    for (const record of records) this.#claim(owner, record);
    for (const key of before) if (!after.has(key)) this.#release(owner, key);
  }

  /** One more key of an owner. */
  add(owner: string, record: KeyRecord): void {
    this.#keysOf.set(owner, new Set([...(this.#keysOf.get(owner) ?? []), record.key]));
    this.#claim(owner, record);
  }

  #claim(owner: string, { key, value }: KeyRecord): void {
    const claims = this.#claims.get(key) ?? new Map<string, KeyRecord['value']>();
    claims.set(owner, value);
    this.#claims.set(key, claims);
    this.#wish(key, claims);
  }

  #release(owner: string, key: string): void {
    const claims = this.#claims.get(key);
    claims?.delete(owner);
    if (claims && claims.size > 0) return this.#wish(key, claims);
    this.#claims.delete(key);
    this.#sync.delete(key);
  }

  #wish(key: string, claims: ReadonlyMap<string, KeyRecord['value']>): void {
    for (const first of claims.values()) return this.#sync.set(key, first);
  }
}
