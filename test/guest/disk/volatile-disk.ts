/** Disks write this much, or nothing of it. */
const sectorBytes = 512;

/**
 * A disk with a cache that loses its content with the power: what is written is read back at once, but only what a flush
 * followed is still there afterwards.
 */
export class VolatileDisk {
  readonly #durable: Buffer;
  readonly #cache = new Map<number, Buffer>();
  readonly #ignoresFlushes: boolean;
  #lives = 0;

  /** One that `ignoresFlushes` answers them and does nothing: a disk that lies, to see whether it is found out. */
  constructor(content: Buffer, options: { readonly ignoresFlushes?: boolean } = {}) {
    this.#durable = content;
    this.#ignoresFlushes = options.ignoresFlushes ?? false;
  }

  /** What would be there if the power went now, without anything of the cache. */
  get content(): Buffer {
    return this.#durable;
  }

  /** Sectors that would be lost. */
  get unflushed(): number {
    return this.#cache.size;
  }

  get bytes(): number {
    return this.#durable.length;
  }

  read(offset: number, length: number): Buffer {
    const result = Buffer.from(this.#durable.subarray(offset, offset + length));
    if (this.#cache.size === 0) return result;
    for (let at = offset; at < offset + length; at += sectorBytes) this.#cache.get(at)?.copy(result, at - offset);
    return result;
  }

  /** Offset and length are multiples of a sector, as of every disk. */
  write(offset: number, bytes: Buffer): void {
    if (offset % sectorBytes !== 0 || bytes.length % sectorBytes !== 0) throw new RangeError('No whole sectors');
    for (let at = 0; at < bytes.length; at += sectorBytes)
      this.#cache.set(offset + at, Buffer.from(bytes.subarray(at, at + sectorBytes)));
  }

  /** Begins a flush of what is written by now; it is durable when the function given back is called, if the power stays. */
  flush(): () => void {
    const life = this.#lives;
    const written = [...this.#cache];
    return () => {
      if (life !== this.#lives || this.#ignoresFlushes) return;
      for (const [offset, sector] of written) {
        sector.copy(this.#durable, offset);
        // Written again meanwhile: that is for the next flush.
        if (this.#cache.get(offset) === sector) this.#cache.delete(offset);
      }
    };
  }

  /** Of what no flush followed those sectors are kept that `keeps` says: a disk writes from its cache in any order. */
  cutPower(keeps: () => boolean): { readonly kept: number; readonly lost: number } {
    let kept = 0;
    for (const [offset, sector] of this.#cache) {
      if (!keeps()) continue;
      sector.copy(this.#durable, offset);
      kept += 1;
    }
    const lost = this.#cache.size - kept;
    this.#cache.clear();
    this.#lives += 1;
    return { kept, lost };
  }
}
