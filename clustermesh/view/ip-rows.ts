import type { RowObserver } from '../../kvstore/index.ts';
import { IpScanner, identityBelongs } from '../wire/index.ts';
import type { RemoteOrigin } from '../wire/index.ts';
import { prefixOfKey } from './prefix-of-key.ts';
import type { IpTable } from './ip-table.ts';

/** The addresses of one cluster, filled from the bytes of keys and values. */
export class IpRows implements RowObserver {
  readonly #table: IpTable;
  readonly #scope: number;
  readonly #origin: RemoteOrigin | undefined;
  readonly #translate: ((identity: number) => number) | undefined;
  readonly #scanner = new IpScanner();

  constructor(table: IpTable, scope: number, origin?: RemoteOrigin, translate?: (identity: number) => number) {
    this.#table = table;
    this.#scope = scope;
    this.#origin = origin;
    this.#translate = translate;
  }

  get size(): number {
    return this.#table.claims(this.#scope);
  }

  put(keyBytes: Uint8Array, keyStart: number, keyEnd: number, bytes: Uint8Array, start: number, end: number): boolean {
    const scanner = this.#scanner;
    if (!scanner.scanHead(keyBytes, keyStart, keyEnd, bytes, start, end)) return false;
    let { identity } = scanner;
    if (this.#origin && !identityBelongs(identity, this.#origin)) return false;
    if (this.#translate) identity = this.#translate(identity);
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
}
