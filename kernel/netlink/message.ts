/** Flags of `struct nlmsghdr` (linux/netlink.h). */
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLM_F_DUMP = 0x300;

export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;

export const headerSize = 16;

/** Writes one netlink message: header, family header, attributes. Buffers grow as needed; nothing is shared. */
export class MessageWriter {
  // From Node's pool: a batch makes hundreds of these.
  #bytes = Buffer.allocUnsafe(128);
  #length = headerSize;

  constructor(type: number, flags: number) {
    this.#bytes.fill(0, 0, headerSize);
    this.#bytes.writeUInt16LE(type, 4);
    this.#bytes.writeUInt16LE(flags, 6);
  }

  /** The fixed header of the family, such as `struct rtmsg`. */
  header(bytes: Uint8Array): this {
    this.#append(bytes);
    return this;
  }

  attribute(type: number, value: Uint8Array): this {
    const at = this.#length;
    this.#reserve(4 + value.length);
    this.#bytes.writeUInt16LE(4 + value.length, at);
    this.#bytes.writeUInt16LE(type, at + 2);
    this.#length += 4;
    this.#append(value);
    return this;
  }

  u8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value));
  }

  u16be(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value >> 8, value & 255));
  }

  u32(type: number, value: number): this {
    this.#reserve(8);
    this.#bytes.writeUInt16LE(8, this.#length);
    this.#bytes.writeUInt16LE(type, this.#length + 2);
    this.#bytes.writeUInt32LE(value >>> 0, this.#length + 4);
    this.#length += 8;
    return this;
  }

  /** A text with its closing zero. */
  text(type: number, value: string): this {
    return this.attribute(type, Buffer.from(`${value}\0`));
  }

  /** An attribute whose value is what `write` appends. */
  nest(type: number, write: (inner: this) => void): this {
    const at = this.#length;
    this.attribute(type, new Uint8Array(0));
    write(this);
    this.#bytes.writeUInt16LE(this.#length - at, at);
    return this;
  }

  /** The whole message under a sequence number; a view that is valid until the writer is used again. */
  finish(sequence: number): Buffer {
    this.#bytes.writeUInt32LE(this.#length, 0);
    this.#bytes.writeUInt32LE(sequence >>> 0, 8);
    return this.#bytes.subarray(0, this.#length);
  }

  #append(bytes: Uint8Array): void {
    const padded = align4(bytes.length);
    this.#reserve(padded);
    this.#bytes.set(bytes, this.#length);
    this.#bytes.fill(0, this.#length + bytes.length, this.#length + padded);
    this.#length += padded;
  }

  #reserve(count: number): void {
    if (this.#length + count <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#length + count));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** One received message; `body` is what follows its header. */
export interface Message {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Buffer;
}

/** The messages of one datagram. @throws {RangeError} when a length does not fit. */
export function* messagesOf(datagram: Buffer): Generator<Message> {
  let at = 0;
  while (at + headerSize <= datagram.length) {
    const length = datagram.readUInt32LE(at);
    if (length < headerSize || at + length > datagram.length)
      throw new RangeError(`A netlink message of ${length} bytes does not fit at ${at} of ${datagram.length}`);
    yield {
      type: datagram.readUInt16LE(at + 4),
      flags: datagram.readUInt16LE(at + 6),
      sequence: datagram.readUInt32LE(at + 8),
      body: datagram.subarray(at + headerSize, at + length),
    };
    at += align4(length);
  }
}

/** Attributes by type (without the nested and byte-order bits); of a repeated one the last. */
export function attributesOf(bytes: Buffer): Map<number, Buffer> {
  const result = new Map<number, Buffer>();
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = bytes.readUInt16LE(at);
    if (length < 4 || at + length > bytes.length) break;
    result.set(bytes.readUInt16LE(at + 2) & 0x3fff, bytes.subarray(at + 4, at + length));
    at += align4(length);
  }
  return result;
}

/** Text of an attribute, without its closing zero. */
export function textOf(bytes: Buffer | undefined): string {
  if (!bytes) return '';
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end < 0 ? bytes.length : end);
}

/** A 32-bit attribute; 0 when it is absent. */
export function u32Of(bytes: Buffer | undefined): number {
  return bytes && bytes.length >= 4 ? bytes.readUInt32LE(0) : 0;
}

function align4(length: number): number {
  return (length + 3) & ~3;
}
