import { DocumentReader } from './document.ts';
import { timeText } from './peer-record.ts';

/** A certificate of the own authority that was taken back. */
export interface Revoked {
  /** SHA-256, upper case with colons. */
  readonly fingerprint: string;
  /** It has expired by then, and need not stand in any list. */
  readonly notAfterMs: number;
}

export function formatRevoked(list: readonly Revoked[]): string {
  const revoked = list.map(({ fingerprint, notAfterMs }) => ({ fingerprint, notAfter: timeText(notAfterMs) }));
  return `${JSON.stringify({ version: 1, revoked }, undefined, 2)}\n`;
}

/** @throws {PeerDocumentError} */
export function parseRevoked(text: string, document: string): readonly Revoked[] {
  const reader = DocumentReader.ofJson(document, text);
  reader.whole('version', 1, 1);
  return reader.objects('revoked').map((one) => ({
    fingerprint: one.text('fingerprint'),
    notAfterMs: one.time('notAfter'),
  }));
}
