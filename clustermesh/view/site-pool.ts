import { BytePool } from '../../kvstore/index.ts';
import type { IpScanner } from '../wire/ip-scanner.ts';

/**
 * What the addresses of one node have in common: cluster, host, key, and the text of the metadata. They mostly follow each other, so
 * that the site of the last one is taken again without being sought.
 */
export class SitePool {
  readonly #texts = new BytePool();
  // Whose site was found last.
  #scanner: IpScanner | undefined;
  #site = 0;
  #scope = 0;

  /** The site of the value whose head the scanner has read for a cluster, referred to once more. */
  acquire(scope: number, scanner: IpScanner, bytes: Uint8Array): number {
    if (this.#scanner === scanner && this.#site === scanner.site && this.#scope === scope) {
      const again = this.#texts.again();
      if (again >= 0) return again;
    }
    this.#scanner = scanner;
    this.#site = scanner.site;
    this.#scope = scope;
    const { encryptKey, hostStart, hostEnd, metadataStart, metadataEnd } = scanner;
    return this.#texts.acquire(bytes, scope * 256 + encryptKey, hostStart, hostEnd, metadataStart, metadataEnd);
  }

  release(site: number): void {
    this.#texts.release(site);
  }

  /** The cluster, as `IpTable` numbers them. */
  scopeOf(site: number): number {
    return this.#texts.scopeOf(site) >>> 8;
  }

  encryptKey(site: number): number {
    return this.#texts.scopeOf(site) & 255;
  }

  host(site: number): string {
    return this.#texts.head(site);
  }

  /** `Metadata` without the number at its end. */
  metadata(site: number): string {
    return this.#texts.tail(site);
  }
}
