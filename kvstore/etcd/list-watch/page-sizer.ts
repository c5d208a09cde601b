/** A page of some 16 MiB costs the server least: it walks its index for all remaining keys, page by page. */
const pageBytes = 16 << 20;
const firstPage = 4096;
const maxEntries = 65_536;

/** Chooses how many entries to ask for, from the size of those that came. */
export class PageSizer {
  #bytes = 0;
  #entries = 0;

  get limit(): number {
    if (this.#entries === 0) return firstPage;
    const fitting = Math.floor(pageBytes / Math.max(1, this.#bytes / this.#entries));
    return Math.min(Math.max(fitting, 1), maxEntries);
  }

  observe(bytes: number, entries: number): void {
    this.#bytes += bytes;
    this.#entries += entries;
  }
}
