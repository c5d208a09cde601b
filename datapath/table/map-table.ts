import { setImmediate } from 'node:timers/promises';
import type { BpfMap } from '../../kernel/ports/index.ts';
import { Differ, type Rows } from './difference.ts';
import { Packed } from './packed.ts';
import { Serial } from './serial.ts';
import type { AuditResult, TableChange, TableDriver } from './table-driver.ts';

/** After so many rows other work gets its turn. */
const entriesPerTurn = 8192;

/** How entries of a table become rows of its map. */
export interface RowCodec<E> {
  readonly keySize: number;
  readonly valueSize: number;
  keyOf(entry: E): string;
  /** Writes the key of an entry. */
  writeKeyOf(entry: E, into: Buffer, offset: number): void;
  /** Writes the key that {@link keyOf} gave. @throws {RangeError} when the text is none. */
  writeKey(key: string, into: Buffer, offset: number): void;
  writeValue(entry: E, into: Buffer, offset: number): void;
}

/** The driver of a table whose entries are one row each and stand alone: ipcache, endpoints. */
export class MapTable<E> implements TableDriver<E> {
  readonly #codec: RowCodec<E>;
  readonly #map: BpfMap;
  readonly #serial = new Serial();

  constructor(codec: RowCodec<E>, map: BpfMap) {
    if (map.spec.keySize !== codec.keySize || map.spec.valueSize !== codec.valueSize)
      throw new RangeError(
        `Map ${map.spec.name} has rows of ${map.spec.keySize}+${map.spec.valueSize} bytes, not ${codec.keySize}+${codec.valueSize}`,
      );
    this.#codec = codec;
    this.#map = map;
  }

  keyOf(entry: E): string {
    return this.#codec.keyOf(entry);
  }

  apply({ upsert = [], remove = [] }: Partial<TableChange<E>>): Promise<void> {
    return this.#serial.run(async () => {
      const rows = await this.#encode(upsert);
      const staying = new Set(remove.length > 0 ? upsert.map((entry) => this.#codec.keyOf(entry)) : []);
      const stale = new Packed(this.#codec.keySize);
      for (const key of remove) {
        if (staying.has(key)) continue;
        const { into, offset } = stale.next();
        this.#codec.writeKey(key, into, offset);
        if (stale.count % entriesPerTurn === 0) await setImmediate();
      }
      await this.#write(rows);
      await this.#remove(stale);
    });
  }

  audit(desired: Iterable<E>, options: { readonly prune: boolean }): Promise<AuditResult> {
    return this.#serial.run(async () => {
      const rows = await this.#encode(desired);
      const differ = await Differ.of(rows, { key: this.#codec.keySize, value: this.#codec.valueSize });
      await this.#map.dump((key, value) => differ.visit(key, value));
      const { write, remove, kept } = differ.finish();
      await this.#write(write);
      if (options.prune) await this.#remove(remove);
      return { written: write.keys.count, removed: options.prune ? remove.count : 0, kept };
    });
  }

  async #encode(entries: Iterable<E>): Promise<Rows> {
    const keys = new Packed(this.#codec.keySize);
    const values = new Packed(this.#codec.valueSize);
    for (const entry of entries) {
      const key = keys.next();
      this.#codec.writeKeyOf(entry, key.into, key.offset);
      const value = values.next();
      this.#codec.writeValue(entry, value.into, value.offset);
      if (keys.count % entriesPerTurn === 0) await setImmediate();
    }
    return { keys, values };
  }

  async #write(rows: Rows): Promise<void> {
    if (rows.keys.count > 0) await this.#map.updateBatch(rows.keys.bytes, rows.values.bytes, rows.keys.count);
  }

  async #remove(keys: Packed): Promise<void> {
    if (keys.count > 0) await this.#map.deleteBatch(keys.bytes, keys.count);
  }
}
