import type { Clock } from '../../runtime/clock/index.ts';
import { type RoomFacts, RoomNotice } from './room-notice.ts';
import { environmentSize, noRoomBytes, roomIn } from './space.ts';
import type { Tables } from './table-types.ts';

/** The size of the environment is looked at again after this many bytes of rows. */
const sizeCheckBytes = 1024 ** 2;
/** With less than this the tables might not be able to take what the log has: then no write goes by the log. */
const tightBytes = 4 * noRoomBytes;
/**
 * While it is full, who is refused looks at most so often whether it still is: a look takes some 0.2 ms, and clients that are refused come again. Whatever
 * frees something is a commit, which looks itself.
 */
const lookAgainMs = 50;

export interface RoomOptions {
  readonly tables: Tables;
  readonly quotaBytes: number;
  /** Bytes that the log has and the tables do not. */
  readonly unapplied: () => number;
  /** Whether pages are damaged; then sizes are what they were. */
  readonly damaged: () => boolean;
  /** There is no more, by the quota or on the disk. */
  readonly onFull: () => void;
  /** That it is full, or no longer, for people. */
  readonly say: (facts: RoomFacts) => void;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

/** How much there is and may be: within the quota, and on the disk. */
export class Room {
  readonly #options: RoomOptions;
  #size = { total: 0, inUse: 0 };
  #grownBytes = 0;
  #full = false;
  #noRoom = false;
  #lookedMs = 0;
  readonly #notice: RoomNotice;
  /** Too little room on the disk for the log: each group goes to the tables before its answer. */
  tight = false;

  constructor(options: RoomOptions) {
    this.#options = options;
    this.#notice = new RoomNotice(options.clock, options.say);
  }

  /** The quota is used up. */
  get full(): boolean {
    if (this.#full && this.#options.clock.monotonicMs() - this.#lookedMs >= lookAgainMs) this.#compare();
    return this.#full;
  }

  get out(): boolean {
    if (this.#noRoom && roomIn(this.#options.tables.directory) >= noRoomBytes) this.foundSome();
    return this.full || this.#noRoom;
  }

  sizes(): { readonly total: number; readonly inUse: number; readonly quota: number } {
    const { quotaBytes: quota, unapplied } = this.#options;
    // What is told here and what is refused agree.
    if (this.#full) this.#compare();
    else this.#measure();
    const { total, inUse } = this.#size;
    return { total: total + unapplied(), inUse: inUse + unapplied(), quota };
  }

  wrote(bytes: number): void {
    this.#grownBytes += bytes;
  }

  /** Compares with the quota when much was written since, or when it was full. */
  look(): void {
    if (this.#grownBytes >= sizeCheckBytes || this.#full) this.#compare();
  }

  /** The last commit found no room on the disk. */
  foundNone(): void {
    this.#noRoom = true;
    this.#options.onFull();
    this.#tell();
  }

  /** It found some. */
  foundSome(): void {
    if (!this.#noRoom) return;
    this.#noRoom = false;
    this.#tell();
  }

  lookAtDisk(): void {
    this.tight = roomIn(this.#options.tables.directory) < tightBytes;
  }

  /** To be called first. */
  begin(): void {
    this.#compare();
    this.lookAtDisk();
  }

  #compare(): void {
    this.#grownBytes = 0;
    this.#measure();
    this.#full = this.#size.inUse + this.#options.unapplied() >= this.#options.quotaBytes;
    this.#lookedMs = this.#options.clock.monotonicMs();
    if (this.#full) this.#options.onFull();
    this.#tell();
  }

  #tell(): void {
    const { quotaBytes, unapplied } = this.#options;
    const limit = this.#full ? 'quota' : this.#noRoom ? 'disk' : undefined;
    this.#notice.look(limit, { inUseBytes: this.#size.inUse + unapplied(), quotaBytes });
  }

  #measure(): void {
    try {
      this.#size = environmentSize(this.#options.tables);
    } catch (error) {
      // Of a store that is damaged the alarm has to be told.
      if (!this.#options.damaged()) throw error;
    }
  }
}
