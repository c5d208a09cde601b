/** gRPC status codes by name. Source: grpc/doc/statuscodes.md. */
export const grpcStatus = {
  ok: 0,
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/**
 * The text of a `grpc-message` header: printable ASCII but `%` stays, every other byte becomes `%XX`. So do spaces at
 * either end, which no header may have (RFC 9113 §8.2.1).
 */
export function encodeGrpcMessage(message: string): string {
  let out = '';
  for (const byte of encoder.encode(message)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25;
    out += plain ? String.fromCodePoint(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out.replaceAll(/^ +| +$/g, (spaces) => '%20'.repeat(spaces.length));
}

/** The reverse; what is no valid escape stays as it is, as gRPC demands of readers. */
export function decodeGrpcMessage(header: string): string {
  if (!header.includes('%')) return header;
  const bytes: number[] = [];
  for (let i = 0; i < header.length; i++) {
    const hex = header.slice(i + 1, i + 3);
    if (header[i] === '%' && /^[0-9a-f]{2}$/i.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else bytes.push(header.charCodeAt(i) & 0xff);
  }
  return decoder.decode(new Uint8Array(bytes));
}
