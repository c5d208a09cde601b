import { ProtocolError } from '../../contract/index.ts';

/** How a field's value is laid out (protobuf "wire type"). Groups (3, 4) are obsolete and refused. */
export const wireType = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const maxDepth = 100;
const twoTo32 = 4_294_967_296;
const utf8 = new TextDecoder();

/** A message of few bytes each that are more than anybody needs. */
export class TooManyPartsError extends ProtocolError {
  constructor(max: number) {
    super(`Cannot decode message: more than ${max} messages in it`);
  }
}

/**
 * Reads protobuf fields out of one buffer. Values of bytes fields are views into that buffer: copy what you keep.
 * Every method throws a {@link ProtocolError} when the input ends too early or makes no sense.
 *
 * Source of the format: protobuf.dev, "Encoding".
 */
export class ProtoReader {
  readonly #bytes: Uint8Array;
  readonly #maxParts: number;
  #position: number;
  #end: number;
  #depth = 0;
  #parts = 0;
  /** The two halves of the last varint, unsigned. */
  #low = 0;
  #high = 0;

  /** @param maxParts embedded messages, and values in a row, that there may be in all */
  constructor(bytes: Uint8Array, start = 0, end = bytes.length, maxParts = Infinity) {
    this.#maxParts = maxParts;
    this.#bytes = bytes;
    this.#position = start;
    this.#end = end;
  }

  /** Where the next field begins, counted from the buffer's start. */
  get position(): number {
    return this.#position;
  }

  /** True at the end of the message that is being read. */
  get done(): boolean {
    return this.#position >= this.#end;
  }

  /** The next field's number and wire type, as `number * 8 + type`. */
  tag(): number {
    const tag = this.uint32();
    if (tag < 8) throw new ProtocolError(`Cannot decode message: field number 0 at byte ${this.#position}`);
    return tag;
  }

  uint32(): number {
    const first = this.#bytes[this.#position] ?? 0;
    if (first < 0x80 && this.#position < this.#end) {
      this.#position += 1;
      return first;
    }
    this.#varint();
    return this.#low;
  }

  bool(): boolean {
    this.#varint();
    return (this.#low | this.#high) !== 0;
  }

  /** A signed 64-bit number. @throws {ProtocolError} beyond ±2⁵³ */
  int64(): number {
    const value = this.#signed();
    if (!Number.isSafeInteger(value)) throw new ProtocolError(`Cannot decode message: ${value} is beyond 2^53`);
    return value;
  }

  /** A signed 64-bit number, where anything beyond ±(2⁵³ − 1) becomes just that: enough wherever only its order counts. */
  clampedInt64(): number {
    return Math.min(Math.max(this.#signed(), Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
  }

  bigInt64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return (BigInt(this.#high | 0) << 32n) | BigInt(this.#low);
  }

  bigUint64(): bigint {
    this.#varint();
    if (this.#high === 0) return BigInt(this.#low);
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  bytes(): Uint8Array {
    const length = this.length();
    const start = this.#position;
    this.#position += length;
    return this.#bytes.subarray(start, start + length);
  }

  text(): string {
    return utf8.decode(this.bytes());
  }

  /** Reads an embedded message: `read` is called with the reader bounded to it. */
  nested<T>(read: (reader: ProtoReader) => T): T {
    this.part();
    const length = this.length();
    if (++this.#depth > maxDepth) throw new ProtocolError(`Cannot decode message: nested deeper than ${maxDepth}`);
    const outer = this.#end;
    this.#end = this.#position + length;
    const value = read(this);
    if (this.#position !== this.#end) throw new ProtocolError('Cannot decode message: a field runs over its end');
    this.#end = outer;
    this.#depth -= 1;
    return value;
  }

  /** One more of what each takes far more room than it has bytes. @throws {TooManyPartsError} */
  part(): void {
    if (++this.#parts > this.#maxParts) throw new TooManyPartsError(this.#maxParts);
  }

  /** The length in front of a bytes field, checked against what is left. */
  length(): number {
    const length = this.uint32();
    if (length > this.#end - this.#position) {
      throw new ProtocolError(
        `Cannot decode message: ${length} bytes wanted at byte ${this.#position}, ${this.#end - this.#position} left`,
      );
    }
    return length;
  }

  /** Goes on `count` bytes later, behind a field whose {@link length} was just read. */
  step(count: number): void {
    this.#advance(count);
  }

  /** Steps over a field that nobody knows. */
  skip(type: number): void {
    if (type === wireType.varint) this.#varint();
    else if (type === wireType.bytes) this.#advance(this.length());
    else if (type === wireType.fixed64) this.#advance(8);
    else if (type === wireType.fixed32) this.#advance(4);
    else throw new ProtocolError(`Cannot decode message: wire type ${type} at byte ${this.#position}`);
  }

  #advance(count: number): void {
    if (count > this.#end - this.#position) throw this.#truncated();
    this.#position += count;
  }

  #signed(): number {
    this.#varint();
    return (this.#high | 0) * twoTo32 + this.#low;
  }

  #varint(): void {
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.#position >= this.#end) throw this.#truncated();
      const byte = this.#bytes[this.#position++] ?? 0;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >>> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    throw new ProtocolError(`Cannot decode message: number longer than 10 bytes at byte ${this.#position}`);
  }

  #truncated(): ProtocolError {
    return new ProtocolError(`Cannot decode message: it ends inside a field at byte ${this.#position}`);
  }
}
