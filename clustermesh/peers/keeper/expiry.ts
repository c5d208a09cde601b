import { X509Certificate } from 'node:crypto';
import { factsOf } from '../../../runtime/tls/index.ts';
import { ciliumLifetimeMs } from '../enrolment/index.ts';
import type { PeerFolder } from '../folder/index.ts';

/** One thing of ours that expires. */
export interface Expiry {
  /**
   * `authority`, `server`, `agent-n1`; `peer/west`: what we come with to that peer; `given/north`: what a Cilium cluster
   * comes with to us, which asks for no other by itself.
   */
  readonly certificate: string;
  readonly fingerprint: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** Everything of ours that expires, in a stable order. */
export async function expiries(folder: PeerFolder): Promise<readonly Expiry[]> {
  const found: Expiry[] = [];
  const add = (certificate: string, pem: string | undefined): void => {
    if (pem === undefined || pem === '') return;
    const { fingerprint, notBeforeMs, notAfterMs } = factsOf(new X509Certificate(pem));
    found.push({ certificate, fingerprint, notBeforeMs, notAfterMs });
  };
  const state = await folder.authority.read();
  add('authority', state?.current.certificate);
  for (const name of await folder.certificateNames()) {
    const facts = await folder.certificate(name);
    if (facts) found.push({ certificate: name, ...dates(facts) });
  }
  for (const { name, kind, admitted } of await folder.peers()) {
    add(`peer/${name}`, (await folder.credentialsFor(name))?.certificate);
    const [given] = admitted.toSorted((a, b) => b.notAfterMs - a.notAfterMs);
    if (kind !== 'cilium' || !given) continue;
    const { fingerprint, notAfterMs } = given;
    found.push({ certificate: `given/${name}`, fingerprint, notBeforeMs: notAfterMs - ciliumLifetimeMs, notAfterMs });
  }
  return found;
}

function dates(facts: Omit<Expiry, 'certificate'>): Omit<Expiry, 'certificate'> {
  const { fingerprint, notBeforeMs, notAfterMs } = facts;
  return { fingerprint, notBeforeMs, notAfterMs };
}
