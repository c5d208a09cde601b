const twoTo32 = 4_294_967_296;

/** Writes protobuf fields into a buffer that grows. */
export class ProtoWriter {
  #buffer: Buffer;
  #position: number;

  /** Leaves `reserve` bytes free in front (for a frame's prefix); `sizeHint` spares growing. */
  constructor(reserve = 0, sizeHint = 240) {
    this.#buffer = Buffer.allocUnsafe(reserve + sizeHint);
    this.#position = reserve;
  }

  get position(): number {
    return this.#position;
  }

  /** What was written, with the reserved bytes in front. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#position);
  }

  tag(field: number, type: number): void {
    this.uint32(field * 8 + type);
  }

  uint32(value: number): void {
    this.#room(5);
    while (value > 0x7f) {
      this.#buffer[this.#position++] = (value & 0x7f) | 0x80;
      value >>>= 7;
    }
    this.#buffer[this.#position++] = value;
  }

  bool(value: boolean): void {
    this.uint32(value ? 1 : 0);
  }

  /** A signed 64-bit number. @throws {RangeError} unless it is a safe integer. */
  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no safe integer`);
    if (value >= 0 && value < twoTo32) this.uint32(value);
    else this.#varint(value >>> 0, Math.floor(value / twoTo32) >>> 0);
  }

  /** A 64-bit number, signed or not: two's complement either way. @throws {RangeError} when it needs more bits. */
  bigInt64(value: bigint): void {
    if (value >= 0n && value < 0x1_0000_0000n) return this.uint32(Number(value));
    if (value < -0x8000_0000_0000_0000n || value > 0xffff_ffff_ffff_ffffn)
      throw new RangeError(`${value} does not fit into 64 bits`);
    this.#varint(Number(value & 0xffff_ffffn), Number((value >> 32n) & 0xffff_ffffn));
  }

  bytes(value: Uint8Array): void {
    this.uint32(value.length);
    this.raw(value);
  }

  text(value: string): void {
    const length = Buffer.byteLength(value);
    this.uint32(length);
    this.#room(length);
    this.#buffer.write(value, this.#position, length, 'utf8');
    this.#position += length;
  }

  /** Bytes that are encoded already. */
  raw(value: Uint8Array): void {
    this.#room(value.length);
    this.#buffer.set(value, this.#position);
    this.#position += value.length;
  }

  /** A message that copies itself. */
  encoded(source: { readonly messageLength: number; copyMessage(target: Buffer, position: number): number }): void {
    this.#room(source.messageLength);
    this.#position = source.copyMessage(this.#buffer, this.#position);
  }

  /** Writes an embedded message with its length in front. */
  nested<T>(value: T, write: (writer: ProtoWriter, value: T) => void): void {
    // One byte is kept for the length; the rare longer message is moved.
    this.#room(1);
    const start = ++this.#position;
    write(this, value);
    const length = this.#position - start;
    if (length < 0x80) {
      this.#buffer[start - 1] = length;
      return;
    }
    const extra = length < 0x4000 ? 1 : length < 0x20_0000 ? 2 : length < 0x1000_0000 ? 3 : 4;
    this.#room(extra);
    this.#buffer.copyWithin(start + extra, start, start + length);
    this.#position = start - 1;
    this.uint32(length);
    this.#position += length;
  }

  #varint(low: number, high: number): void {
    this.#room(10);
    while (high !== 0 || low > 0x7f) {
      this.#buffer[this.#position++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    this.#buffer[this.#position++] = low;
  }

  #room(count: number): void {
    const needed = this.#position + count;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#position);
    this.#buffer = larger;
  }
}
