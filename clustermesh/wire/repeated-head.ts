/**
 * The part of a value that neighbours in a listing mostly have in common, all but the address, the identity and the number of the
 * endpoint: addresses of one node follow each other. Where it comes again, comparing it takes the place of reading it.
 */
export class RepeatedHead {
  /** Two parts: from behind the address to the identity, and from behind that to the end of what is the same. */
  #bytes = new Uint8Array(0);
  #first = 0;
  #length = 0;
  // Where the host lies from the beginning of the first part, and the metadata's text from that of the second one.
  hostStart = 0;
  hostEnd = 0;
  metadataStart = 0;
  metadataEnd = 0;
  encryptKey = 0;
  /** Whether a number follows the metadata's text; else the quote behind it is the end of what is the same. */
  numbered = false;

  /** Keeps `bytes[start, idStart)` and `bytes[idEnd, end)`. */
  keep(bytes: Uint8Array, start: number, idStart: number, idEnd: number, end: number): void {
    const length = idStart - start + end - idEnd;
    if (length > this.#bytes.length) this.#bytes = new Uint8Array(length + 64);
    this.#bytes.set(bytes.subarray(start, idStart));
    this.#bytes.set(bytes.subarray(idEnd, end), idStart - start);
    this.#first = idStart - start;
    this.#length = length;
  }

  /** Position of the identity, when `bytes[at…end)` begins as what is kept; else −1. */
  identityAt(bytes: Uint8Array, at: number, end: number): number {
    const first = this.#first;
    if (first === 0 || first > end - at) return -1;
    const known = this.#bytes;
    for (let i = 0; i < first; i++) if (bytes[at + i] !== known[i]) return -1;
    return at + first;
  }

  /** Position behind what is the same behind the identity, or −1. */
  endAt(bytes: Uint8Array, at: number, end: number): number {
    const first = this.#first;
    const length = this.#length;
    if (length - first > end - at) return -1;
    const known = this.#bytes;
    for (let i = first, j = at; i < length; i++, j++) if (bytes[j] !== known[i]) return -1;
    return at + length - first;
  }
}
