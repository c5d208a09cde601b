import { environmentSize, noRoomBytes, roomIn } from './space.ts';
import type { Tables } from './table-types.ts';

/** The size of the environment is looked at again after this many bytes of rows. */
const sizeCheckBytes = 1024 ** 2;
/** With less than this the tables might not be able to take what the log has: then no write goes by the log. */
const tightBytes = 4 * noRoomBytes;

export interface RoomOptions {
  readonly tables: Tables;
  readonly quotaBytes: number;
  /** Bytes that the log has and the tables do not. */
  readonly unapplied: () => number;
  /** Whether pages are damaged; then sizes are what they were. */
  readonly damaged: () => boolean;
  /** There is no more, by the quota or on the disk. */
  readonly onFull: () => void;
}

/** How much there is and may be: within the quota, and on the disk. */
export class Room {
  readonly #options: RoomOptions;
  #size = { total: 0, inUse: 0 };
  #grownBytes = 0;
  #full = false;
  #noRoom = false;
  /** Too little room on the disk for the log: each group goes to the tables before its answer. */
  tight = false;

  constructor(options: RoomOptions) {
    this.#options = options;
  }

  /** The quota is used up. */
  get full(): boolean {
    if (this.#full) this.#compare();
    return this.#full;
  }

  get out(): boolean {
    if (this.#noRoom && roomIn(this.#options.tables.directory) >= noRoomBytes) this.#noRoom = false;
    return this.full || this.#noRoom;
  }

  sizes(): { readonly total: number; readonly inUse: number; readonly quota: number } {
    const { quotaBytes: quota, unapplied } = this.#options;
    this.#measure();
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
  }

  /** It found some. */
  foundSome(): void {
    this.#noRoom = false;
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
    if (this.#full) this.#options.onFull();
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
