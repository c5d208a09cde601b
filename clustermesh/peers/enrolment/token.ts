import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** A fresh token of 256 random bits, as it stands in a bundle. */
export function createToken(): string {
  return randomBytes(32).toString('base64url');
}

/** What is kept of it. A token has so many bits that nothing slower is needed. */
export function tokenHashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Compares in a time that says nothing about where they differ. */
export function isToken(token: string, hash: string): boolean {
  const expected = Buffer.from(hash, 'hex');
  const presented = createHash('sha256').update(token).digest();
  return expected.length === presented.length && timingSafeEqual(expected, presented);
}

/** The public name of an invitation: 64 random bits. */
export function createInvitationId(): string {
  return randomBytes(8).toString('hex');
}
