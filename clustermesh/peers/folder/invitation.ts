import { DocumentReader } from './document.ts';
import { timeText } from './peer-record.ts';

/** An invitation that nobody has accepted yet. Its token is not kept, only what it must hash to. */
export interface Invitation {
  readonly id: string;
  readonly name: string;
  readonly clusterId: number;
  /** SHA-256 of the token, hexadecimal. */
  readonly tokenHash: string;
  readonly expiresMs: number;
  /** How often somebody came with a wrong token or under a wrong name. */
  readonly failures: number;
  /** The key that we shall come with to that cluster, PEM. */
  readonly privateKey: string;
}

export function formatInvitation({ expiresMs, ...rest }: Invitation): string {
  return `${JSON.stringify({ version: 1, ...rest, expires: timeText(expiresMs) }, undefined, 2)}\n`;
}

/** @throws {PeerDocumentError} */
export function parseInvitation(text: string, document: string): Invitation {
  const reader = DocumentReader.ofJson(document, text);
  reader.whole('version', 1, 1);
  const invitation = {
    id: reader.text('id'),
    name: reader.clusterName('name'),
    clusterId: reader.whole('clusterId', 1, 511),
    tokenHash: reader.text('tokenHash'),
    expiresMs: reader.time('expires'),
    failures: reader.whole('failures'),
    privateKey: reader.text('privateKey'),
  };
  reader.done();
  return invitation;
}
