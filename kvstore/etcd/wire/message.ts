import { ProtocolError } from '../../contract/index.ts';
import { ProtoReader, wireType } from './reader.ts';
import { ProtoWriter } from './writer.ts';

/** Both directions of one message. `In` may leave out what has its default value. */
export interface Codec<Out, In = Out> {
  /** Reads fields until the reader's message is done. */
  read(reader: ProtoReader): Out;
  write(writer: ProtoWriter, value: In): void;
  /** How many bytes `write` will write, where that is known without writing. */
  size?(value: In): number | undefined;
}

/** What decoding gives. */
export type Decoded<C> = C extends Codec<infer Out, never> ? Out : never;
/** What encoding takes. */
export type Encodable<C> = C extends Codec<unknown, infer In> ? In : never;

/** One field of a {@link message}. */
export interface Field<Out, In = Out> {
  readonly number: number;
  /** The value of a message that lacks the field. */
  readonly absent: Out;
  read(reader: ProtoReader, type: number, soFar: Out): Out;
  write(writer: ProtoWriter, value: In): void;
}

type FieldOut<F> = F extends Field<infer Out, never> ? Out : never;
type FieldIn<F> = F extends Field<unknown, infer In> ? In : never;
// `never` as the parameter of `write` admits every field and codec.
type Fields = Readonly<Record<string, Field<unknown, never>>>;
type MessageOut<F extends Fields> = { readonly [K in keyof F]: FieldOut<F[K]> };
type MessageIn<F extends Fields> = { readonly [K in keyof F]?: FieldIn<F[K]> | undefined };

/**
 * A message by its fields, which are written in the order given here (ascending numbers, as the Go library does, so that
 * equal messages are equal bytes). Unknown fields are skipped.
 */
export function message<F extends Fields>(fields: F): Codec<MessageOut<F>, MessageIn<F>> {
  const names = Object.keys(fields);
  const list = Object.values(fields);
  const absent = Object.fromEntries(names.map((name, i) => [name, list[i]?.absent]));
  const nameOf: (string | undefined)[] = [];
  for (const [i, field] of list.entries()) nameOf[field.number] = names[i];
  return {
    read(reader) {
      const out: Record<string, unknown> = { ...absent };
      while (!reader.done) {
        const tag = reader.tag();
        const name = nameOf[tag >>> 3];
        const field = name === undefined ? undefined : fields[name];
        if (name === undefined || field === undefined) reader.skip(tag & 7);
        else out[name] = field.read(reader, tag & 7, out[name]);
      }
      return out as MessageOut<F>;
    },
    write(writer, value) {
      const given = value as Readonly<Record<string, unknown>>;
      for (let i = 0; i < list.length; i++) {
        const one = given[names[i] as string];
        if (one !== undefined) (list[i] as Field<unknown, unknown>).write(writer, one);
      }
    },
  };
}

/**
 * Decodes one whole message. Bytes in it are views of `bytes`. @throws {ProtocolError}
 *
 * @param maxParts messages that there may be in it, for what a stranger has sent
 */
export function decode<Out>(codec: Codec<Out, never>, bytes: Uint8Array, maxParts?: number): Out {
  const reader = new ProtoReader(bytes, 0, bytes.length, maxParts);
  const value = codec.read(reader);
  if (reader.position !== bytes.length) throw new ProtocolError('Cannot decode message: a field runs over its end');
  return value;
}

export function encode<In>(codec: Codec<unknown, In>, value: In, sizeHint?: number): Buffer {
  const writer = new ProtoWriter(0, sizeHint);
  codec.write(writer, value);
  return writer.finish();
}

function expectType(found: number, wanted: number): void {
  if (found !== wanted) throw new ProtocolError(`Cannot decode message: wire type ${found} instead of ${wanted}`);
}

/** A field of one number, text or bytes. */
export interface Scalar<T> extends Field<T> {
  /** Writes the field even when it has its default value. */
  writeAlways(writer: ProtoWriter, value: T): void;
}

function scalar<T>(
  number: number,
  type: number,
  absent: T,
  read: (reader: ProtoReader) => T,
  write: (writer: ProtoWriter, value: T) => void,
  isAbsent: (value: T) => boolean = (value) => value === absent,
): Scalar<T> {
  const writeAlways = (writer: ProtoWriter, value: T): void => {
    writer.tag(number, type);
    write(writer, value);
  };
  return {
    number,
    absent,
    read(reader, found) {
      expectType(found, type);
      return read(reader);
    },
    write(writer, value) {
      if (!isAbsent(value)) writeAlways(writer, value);
    },
    writeAlways,
  };
}

const noBytes = new Uint8Array(0);

export const bytes = (number: number): Scalar<Uint8Array> =>
  scalar<Uint8Array>(
    number,
    wireType.bytes,
    noBytes,
    (reader) => reader.bytes(),
    (writer, value) => writer.bytes(value),
    (value) => value.length === 0,
  );

export const text = (number: number): Scalar<string> =>
  scalar(
    number,
    wireType.bytes,
    '',
    (reader) => reader.text(),
    (writer, value) => writer.text(value),
  );

export const bool = (number: number): Scalar<boolean> =>
  scalar(
    number,
    wireType.varint,
    false,
    (reader) => reader.bool(),
    (writer, value) => writer.bool(value),
  );

/** A number that must be safe, as every revision is. */
export const int64 = (number: number): Scalar<number> =>
  scalar(
    number,
    wireType.varint,
    0,
    (reader) => reader.int64(),
    (writer, value) => writer.int64(value),
  );

/** A number a client may choose freely and of which only the order matters: clamped to the safe range. */
export const clampedInt64 = (number: number): Scalar<number> =>
  scalar(
    number,
    wireType.varint,
    0,
    (reader) => reader.clampedInt64(),
    (writer, value) => writer.int64(value),
  );

/** A signed 64-bit id: leases, watches. */
export const signedId = (number: number): Scalar<bigint> =>
  scalar(
    number,
    wireType.varint,
    0n,
    (reader) => reader.bigInt64(),
    (writer, value) => writer.bigInt64(value),
  );

/** An unsigned 64-bit id: clusters, members. */
export const unsignedId = (number: number): Scalar<bigint> =>
  scalar(
    number,
    wireType.varint,
    0n,
    (reader) => reader.bigUint64(),
    (writer, value) => writer.bigInt64(value),
  );

/** An enumeration by names; the first is 0. A number without a name reads as `unrecognized`, which is not written. */
export const enumeration = <const N extends string>(
  number: number,
  names: readonly [N, ...N[]],
): Field<N | 'unrecognized'> =>
  scalar<N | 'unrecognized'>(
    number,
    wireType.varint,
    names[0],
    (reader) => names[reader.uint32()] ?? 'unrecognized',
    (writer, value) => writer.uint32(value === 'unrecognized' ? 0 : names.indexOf(value)),
  );

/** A scalar whose presence matters (a member of a `oneof`): `undefined` when absent, written even when it is zero. */
export function optional<T>(field: Scalar<T>): Field<T | undefined> {
  return {
    number: field.number,
    absent: undefined,
    read: (reader, type) => field.read(reader, type, field.absent),
    write(writer, value) {
      if (value !== undefined) field.writeAlways(writer, value);
    },
  };
}

/** An embedded message; `undefined` when absent. Taken as a function where messages contain one another. */
export function nested<Out, In>(
  number: number,
  codec: Codec<Out, In> | (() => Codec<Out, In>),
): Field<Out | undefined, In | undefined> {
  const get = typeof codec === 'function' ? codec : () => codec;
  const readInner = (reader: ProtoReader): Out => get().read(reader);
  const writeInner = (writer: ProtoWriter, value: In): void => get().write(writer, value);
  return {
    number,
    absent: undefined,
    read(reader, type) {
      expectType(type, wireType.bytes);
      return reader.nested(readInner);
    },
    write(writer, value) {
      if (value === undefined) return;
      writer.tag(number, wireType.bytes);
      const size = get().size?.(value);
      if (size === undefined) return writer.nested(value, writeInner);
      writer.uint32(size);
      writeInner(writer, value);
    },
  };
}

/** An embedded message of which only counts that it is there: what is in it is not looked at. */
export function presence(number: number): Field<true | undefined, never> {
  return {
    number,
    absent: undefined,
    read(reader, type) {
      expectType(type, wireType.bytes);
      reader.step(reader.length());
      return true;
    },
    write: () => undefined,
  };
}

/** Messages in a row. */
export function repeated<Out, In>(
  number: number,
  codec: Codec<Out, In> | (() => Codec<Out, In>),
): Field<readonly Out[], readonly In[]> {
  const one = nested(number, codec);
  return {
    number,
    absent: [],
    read(reader, type, soFar) {
      // The first one makes an array of this message's own; later ones grow it.
      const list = soFar.length === 0 ? [] : (soFar as Out[]);
      list.push(one.read(reader, type, undefined) as Out);
      return list;
    },
    write(writer, values) {
      for (const value of values) one.write(writer, value);
    },
  };
}

/** Bytes or texts in a row; an empty one is written too. */
export function repeatedBytes(number: number): Field<readonly Uint8Array[]> {
  return repeatedLengths(
    number,
    (reader) => reader.bytes(),
    (writer, value) => writer.bytes(value),
  );
}

export function repeatedText(number: number): Field<readonly string[]> {
  return repeatedLengths(
    number,
    (reader) => reader.text(),
    (writer, value) => writer.text(value),
  );
}

function repeatedLengths<T>(
  number: number,
  read: (reader: ProtoReader) => T,
  write: (writer: ProtoWriter, value: T) => void,
): Field<readonly T[]> {
  return {
    number,
    absent: [],
    read(reader, type, soFar) {
      expectType(type, wireType.bytes);
      const list = soFar.length === 0 ? [] : (soFar as T[]);
      list.push(read(reader));
      return list;
    },
    write(writer, values) {
      for (const value of values) {
        writer.tag(number, wireType.bytes);
        write(writer, value);
      }
    },
  };
}

/** Enumeration values in a row: written packed, read packed or one by one, as protobuf wants. */
export function repeatedEnumeration<const N extends string>(
  number: number,
  names: readonly [N, ...N[]],
): Field<readonly (N | 'unrecognized')[]> {
  const name = (reader: ProtoReader): N | 'unrecognized' => names[reader.uint32()] ?? 'unrecognized';
  return {
    number,
    absent: [],
    read(reader, type, soFar) {
      // The first one makes an array of this message's own; later ones grow it.
      const list = soFar.length === 0 ? [] : (soFar as (N | 'unrecognized')[]);
      const take = (from: ProtoReader): void => {
        from.part();
        list.push(name(from));
      };
      if (type === wireType.varint) {
        take(reader);
        return list;
      }
      expectType(type, wireType.bytes);
      reader.nested((packed) => {
        while (!packed.done) take(packed);
      });
      return list;
    },
    write(writer, values) {
      if (values.length === 0) return;
      writer.tag(number, wireType.bytes);
      writer.nested(values, (inner, list) => {
        for (const value of list) inner.uint32(value === 'unrecognized' ? 0 : names.indexOf(value));
      });
    },
  };
}
