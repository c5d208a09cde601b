/** Where the content of an answer is put as it comes, block after block. */
export interface Room {
  /** The next block; whoever asks may write to all of it. */
  next(): Buffer;
}

const blockBytes = 256 * 1024;
/** 16 MiB, a page of a listing, twice: one is read while the other one is worked on. */
const maxFree = 128;

const free: Buffer[] = [];
let users = 0;

/**
 * Blocks that are used again: what is thrown away by the megabyte keeps the collector busy with a heap that has nothing to
 * do with it. Disposing of a room gives its blocks to the next one; nobody may look at what they held any more. While
 * nobody has a room there are no blocks.
 */
export class PageRoom implements Room, Disposable {
  readonly #blocks: Buffer[] = [];
  #disposed = false;

  constructor() {
    users += 1;
  }

  next(): Buffer {
    if (this.#disposed) throw new Error('This room was disposed of');
    const block = free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
    this.#blocks.push(block);
    return block;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    users -= 1;
    if (users === 0) free.length = 0;
    else for (const block of this.#blocks) if (free.length < maxFree) free.push(block);
    this.#blocks.length = 0;
  }
}

/** For answers that are short or come for ever: blocks grow with what comes, and belong to whoever holds what is in them. */
export class GrowingRoom implements Room {
  #bytes = 256;

  next(): Buffer {
    const block = Buffer.allocUnsafe(this.#bytes);
    this.#bytes = Math.min(4 * this.#bytes, 64 * 1024);
    return block;
  }
}
