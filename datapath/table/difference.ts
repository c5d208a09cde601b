import { setImmediate } from 'node:timers/promises';
import { Packed } from './packed.ts';

/** Encoded rows of a table, keys and values packed alike. */
export interface Rows {
  readonly keys: Packed;
  readonly values: Packed;
}

/** What turns the rows that are there into those that are desired. */
export interface RowDifference {
  readonly write: Rows;
  readonly remove: Packed;
  readonly kept: number;
}

/**
 * Compares desired rows with a dump that arrives row by row: {@link visit} takes each row that is there, {@link finish}
 * gives the difference. Of equal desired keys the last one counts. Holds one string per desired row, no objects.
 */
export class Differ {
  readonly #desired: Rows;
  readonly #sizes: { readonly key: number; readonly value: number };
  readonly #index = new Map<string, number>();
  readonly #stale: Packed;
  #kept = 0;

  private constructor(desired: Rows, sizes: { readonly key: number; readonly value: number }) {
    this.#desired = desired;
    this.#sizes = sizes;
    this.#stale = new Packed(sizes.key);
  }

  /** Takes the desired rows in, with turns for others in between. */
  static async of(desired: Rows, sizes: { readonly key: number; readonly value: number }): Promise<Differ> {
    const differ = new Differ(desired, sizes);
    for (let i = 0; i < desired.keys.count; i++) {
      differ.#index.set(desired.keys.at(i).toString('latin1'), i);
      if (i % 8192 === 8191) await setImmediate();
    }
    return differ;
  }

  visit(key: Uint8Array, value: Uint8Array): void {
    const text = asBuffer(key).toString('latin1');
    const i = this.#index.get(text);
    if (i === undefined) this.#stale.push(key);
    else if (this.#desired.values.at(i).equals(value)) {
      this.#index.delete(text);
      this.#kept++;
    }
  }

  finish(): RowDifference {
    const write = { keys: new Packed(this.#sizes.key), values: new Packed(this.#sizes.value) };
    for (const i of this.#index.values()) {
      write.keys.push(this.#desired.keys.at(i));
      write.values.push(this.#desired.values.at(i));
    }
    return { write, remove: this.#stale, kept: this.#kept };
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
