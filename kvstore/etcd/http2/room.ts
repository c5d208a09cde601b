/** Where the content of an answer is put as it comes, block after block. */
export interface Room {
  /** The next block; whoever asks may write to all of it. */
  next(): Buffer;
  /**
   * `bytes` came in one go and nothing more for now. False when the rest of the last block is not worth keeping until
   * more comes.
   */
  keepsRest?(bytes: number): boolean;
}

const blockBytes = 256 * 1024;
/** Of the first block, which is not used again: most listings are a few keys, and a reader may keep what it saw last of one. */
const firstBlockBytes = 4096;
/** 16 MiB, a page of a listing, twice: one is read while the other one is worked on. */
const maxFree = 128;

let free: Buffer[] = [];
/** Those that were left when the last room was given up: who comes before the collector finds them still. */
let left: WeakRef<Buffer[]> | undefined;
let users = 0;

/**
 * Blocks that are used again: what is thrown away by the megabyte keeps the collector busy with a heap that has nothing to
 * do with it, and memory that nobody has touched yet costs more than all that is done with it. Disposing of a room gives its
 * blocks to the next one; nobody may look at what they held any more. While nobody has a room, blocks are the collector's.
 */
export class PageRoom implements Room, Disposable {
  readonly #blocks: Buffer[] = [];
  #begun = false;
  #disposed = false;

  constructor() {
    if (users === 0) free = left?.deref() ?? [];
    users += 1;
  }

  next(): Buffer {
    if (this.#disposed) throw new Error('This room was disposed of');
    if (!this.#begun) {
      this.#begun = true;
      return Buffer.allocUnsafeSlow(firstBlockBytes);
    }
    const block = free.pop() ?? Buffer.allocUnsafeSlow(blockBytes);
    this.#blocks.push(block);
    return block;
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    users -= 1;
    for (const block of this.#blocks) if (free.length < maxFree) free.push(block);
    this.#blocks.length = 0;
    if (users > 0) return;
    left = new WeakRef(free);
    free = [];
  }
}

const leastBytes = 256;
const mostBytes = 64 * 1024;
/** Rests of blocks up to this size are kept. */
const keptBytes = 4096;

/**
 * For answers that are short or come for ever: blocks grow with what comes in one go, shrink with the next, and belong to
 * whoever holds what is in them. A process may have thousands of streams that bring a line now and then: none keeps a large
 * block for it, nor (as slices of Node's pool would) what others have in the same 64 KiB.
 */
export class GrowingRoom implements Room {
  #bytes = leastBytes;
  #last = 0;

  next(): Buffer {
    this.#last = this.#bytes;
    this.#bytes = Math.min(4 * this.#bytes, mostBytes);
    return Buffer.allocUnsafeSlow(this.#last);
  }

  keepsRest(bytes: number): boolean {
    this.#bytes = Math.min(Math.max(2 * bytes, leastBytes), mostBytes);
    return this.#last <= keptBytes;
  }
}
