import type { Field, FieldInput, FieldValue } from './fields.ts';

/** The fields of one C struct, by name. Names are those of the C members in camel case. */
export type Fields = Readonly<Record<string, Field<unknown>>>;

/** What a layout reads: one value per field. */
export type Values<F extends Fields> = { readonly [Name in keyof F]: FieldValue<F[Name]> };
/** What a layout writes. */
export type Inputs<F extends Fields> = { readonly [Name in keyof F]: FieldInput<F[Name]> };

/**
 * One C struct of `datapath/bpf/lib/structs.h`. Writes into buffers that the caller owns, at any offset; bytes that no
 * field covers are zeroed. A test compares every layout with the BTF of the compiled object.
 */
export interface Layout<F extends Fields> {
  /** Name of the C struct. */
  readonly name: string;
  readonly size: number;
  readonly fields: F;
  encode(values: Inputs<F>, into: Buffer, offset?: number): void;
  decode(from: Buffer, offset?: number): Values<F>;
  /** A new buffer with one value. */
  bytes(values: Inputs<F>): Buffer;
}

export function defineLayout<const F extends Record<string, Field<unknown>>>(
  name: string,
  size: number,
  fields: F,
): Layout<F> {
  const entries = Object.entries(fields) as readonly (readonly [keyof F & string, Field<unknown>])[];
  for (const [field, { offset, size: length }] of entries)
    if (offset + length > size) throw new RangeError(`${name}.${field} ends beyond the ${size} bytes of the struct`);
  const encode = (values: Inputs<F>, into: Buffer, offset = 0): void => {
    into.fill(0, offset, offset + size);
    for (const [field, codec] of entries) codec.write(values[field], into, offset + codec.offset);
  };
  return {
    name,
    size,
    fields,
    encode,
    decode: (from, offset = 0) => {
      const values = entries.map(([field, codec]) => [field, codec.read(from, offset + codec.offset)]);
      return Object.fromEntries(values) as Values<F>;
    },
    bytes: (values) => {
      const into = Buffer.alloc(size);
      encode(values, into);
      return into;
    },
  };
}
