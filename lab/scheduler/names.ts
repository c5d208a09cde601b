import { createHash } from 'node:crypto';

/** Letters that Kubernetes uses in generated names (no vowels, nothing that reads like another). */
const alphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** Generated part of a name; equal input gives an equal suffix, so that a lab's pods keep their names between runs. */
export function nameSuffix(seed: string, length: number): string {
  const digest = createHash('sha256').update(seed).digest();
  return Array.from({ length }, (_, i) => alphabet[(digest[i] ?? 0) % alphabet.length]).join('');
}

/** A UID in the form of Kubernetes', derived from the object's place. */
export function uidOf(seed: string): string {
  const hex = createHash('sha256').update(seed).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
