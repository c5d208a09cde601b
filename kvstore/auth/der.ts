/** One element of DER (ITU-T X.690): its tag, its content, and all of its bytes. */
export interface DerElement {
  readonly tag: number;
  readonly content: Buffer;
  readonly whole: Buffer;
}

export const derTag = { integer: 0x02, bitString: 0x03, oid: 0x06, utcTime: 0x17, time: 0x18, sequence: 0x30 } as const;

/** The elements that `bytes` consist of, one behind the other. @throws {RangeError} for what is no DER */
export function derElements(bytes: Buffer): DerElement[] {
  const elements: DerElement[] = [];
  for (let at = 0; at < bytes.length;) {
    const element = derElement(bytes.subarray(at));
    elements.push(element);
    at += element.whole.length;
  }
  return elements;
}

function derElement(bytes: Buffer): DerElement {
  const [tag, first] = bytes;
  // Tags of several bytes and lengths beyond four do not occur in what is read with this.
  if (tag === undefined || first === undefined || (tag & 0x1f) === 0x1f) throw new RangeError('Not DER');
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const start = 2 + lengthBytes;
  if (first === 0x80 || lengthBytes > 4 || bytes.length < start) throw new RangeError('Not DER');
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(2, lengthBytes);
  if (bytes.length < start + length) throw new RangeError('Not DER: cut short');
  return { tag, content: bytes.subarray(start, start + length), whole: bytes.subarray(0, start + length) };
}

/** `1.2.840.113549.1.1.11`. */
export function derOid(content: Buffer): string {
  const parts: number[] = [];
  let value = 0;
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f);
    if (byte & 0x80) continue;
    if (parts.length === 0)
      parts.push(Math.min(2, Math.floor(value / 40)), value - 40 * Math.min(2, Math.floor(value / 40)));
    else parts.push(value);
    value = 0;
  }
  return parts.join('.');
}
