import type { RowObserver } from '../../kvstore/index.ts';
import { ipFromBytes } from '../../values/ip/index.ts';
import type { AddressRules } from '../acceptance/index.ts';
import { IpScanner, identityBelongs } from '../wire/index.ts';
import type { IpRowRules } from './mesh-view.ts';
import { prefixOfKey } from './prefix-of-key.ts';
import type { IpTable } from './ip-table.ts';

/** The addresses of one cluster, filled from the bytes of keys and values. */
export class IpRows implements RowObserver {
  readonly #table: IpTable;
  readonly #scope: number;
  readonly #rules: IpRowRules;
  readonly #scanner = new IpScanner();
  // The host asked for last, and what the rules said: neighbours in a listing mostly have one host.
  #host = new Uint8Array(0);
  #hostRules: AddressRules | undefined;
  #hostRefused = false;

  constructor(table: IpTable, scope: number, rules: IpRowRules) {
    this.#table = table;
    this.#scope = scope;
    this.#rules = rules;
  }

  get size(): number {
    return this.#table.claims(this.#scope);
  }

  put(keyBytes: Uint8Array, keyStart: number, keyEnd: number, bytes: Uint8Array, start: number, end: number): boolean {
    const scanner = this.#scanner;
    if (!scanner.scanHead(keyBytes, keyStart, keyEnd, bytes, start, end)) return false;
    const { origin, translate, addresses } = this.#rules;
    let { identity } = scanner;
    if (origin && !identityBelongs(identity, origin)) return false;
    if (addresses && this.#refused(addresses(), bytes)) return false;
    if (translate) identity = translate(identity);
    return this.#table.upsertScanned(this.#scope, scanner, bytes, identity);
  }

  delete(keyBytes: Uint8Array, keyStart: number, keyEnd: number): boolean {
    return this.#table.removeAddress(this.#scope, keyBytes, keyStart, keyEnd);
  }

  see(key: string): boolean {
    const prefix = prefixOfKey(key);
    return prefix !== undefined && this.#table.see(this.#scope, prefix);
  }

  has(key: string): boolean {
    const prefix = prefixOfKey(key);
    return prefix !== undefined && this.#table.claimed(this.#scope, prefix);
  }

  startListing(): void {
    this.#table.startListing(this.#scope);
  }

  sweep(): number {
    return this.#table.sweep(this.#scope);
  }

  drain(): number {
    return this.#table.drain(this.#scope);
  }

  /** Whether the rules have something against the address or the host that the scanner has just read. */
  #refused(rules: AddressRules, bytes: Uint8Array): boolean {
    const { address, wide, hostStart, hostEnd } = this.#scanner;
    if (wide) {
      if (rules.problem({ address: ipFromBytes(wide), length: 128, family: 6 })) return true;
    } else if (rules.problem4(address)) return true;
    if (this.#hostRules === rules && sameBytes(this.#host, bytes, hostStart, hostEnd)) return this.#hostRefused;
    this.#host = new Uint8Array(bytes.subarray(hostStart, hostEnd));
    this.#hostRules = rules;
    this.#hostRefused = rules.hostProblem(Buffer.from(this.#host).toString('latin1')) !== undefined;
    return this.#hostRefused;
  }
}

function sameBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
