import { X509Certificate } from 'node:crypto';
import { fields, type Logger } from '../../../runtime/log/index.ts';
import { type CertificateName, createAuthority, issue } from '../certificates/index.ts';
import { type AuthorityState, type PeerFolder, fingerprintOf } from '../folder/index.ts';
import { wantedProfile } from './facts.ts';
import type { RenewalStep } from './steps.ts';

export type LocalStep = Exclude<RenewalStep, { readonly kind: 'exchange' }>;

/** Does one step on the files, of which the caller holds the lock. */
export async function takeStep(folder: PeerFolder, step: LocalStep, nowMs: number, log: Logger): Promise<void> {
  const { authority, own } = folder;
  switch (step.kind) {
    case 'create-authority':
      await authority.writeCurrent(await createAuthority(own.name, nowMs, own.authorityLifetimeMs));
      await folder.writeTrusted();
      log.info('Made an authority of this cluster');
      return;
    case 'prepare-authority':
      await authority.writeNext(await createAuthority(own.name, nowMs, own.authorityLifetimeMs), nowMs);
      await folder.writeTrusted();
      log.info('A new authority is trusted from now on, and will sign once everybody knows it');
      return;
    case 'switch-authority':
      await authority.switchToNext(await stateOf(folder), nowMs);
      await folder.writeTrusted();
      if (step.lacking.length === 0) log.info('The new authority signs from now on');
      else
        log.warn('The new authority signs from now on, and some peers have not said to trust it', {
          peers: step.lacking.join(', '),
          [fields.hint]: 'isthmus peer rotate tells them; where they cannot be reached, invite them again',
        });
      return;
    case 'note-replaced-authority': {
      const before = await authority.lastSeen();
      const state = await stateOf(folder);
      if (before === undefined) await authority.writeCurrent({ ...state.current, privateKey: '' });
      else await authority.noteReplaced(before, state, nowMs);
      await folder.writeTrusted();
      log.info('The authority of this cluster was replaced; the one before it stays trusted for now');
      return;
    }
    case 'retire-authority': {
      const { previous } = await stateOf(folder);
      await authority.writePrevious(previous.filter((one) => fingerprintOf(one) !== step.fingerprint));
      await folder.writeTrusted();
      log.info('An old authority is trusted no longer', { fingerprint: step.fingerprint });
      return;
    }
    case 'issue':
      await issueOwn(folder, step.name, nowMs);
      log.info('Issued a certificate', { certificate: step.name, why: step.why });
      return;
    case 'forget-admitted': {
      const peer = await folder.peer(step.peer);
      if (!peer) return;
      await folder.putPeer({
        ...peer,
        admitted: peer.admitted.filter(({ fingerprint }) => fingerprint !== step.fingerprint),
      });
    }
  }
}

/** A fresh key and certificate of ours, in its place. It never outlives the authority that signs it. */
export async function issueOwn(folder: PeerFolder, name: CertificateName, nowMs: number): Promise<void> {
  const { current } = await stateOf(folder);
  const lifetimeMs = lifetimeUnder(current.certificate, folder.own.certificateLifetimeMs, nowMs);
  await folder.putCertificate(name, await issue(wantedProfile(folder, name), current, { nowMs, lifetimeMs }));
  await folder.writeTrusted();
}

/** How long a certificate may live that this authority signs now. */
export function lifetimeUnder(authority: string, wantedMs: number, nowMs: number): number {
  return Math.min(wantedMs, Date.parse(new X509Certificate(authority).validTo) - nowMs);
}

async function stateOf(folder: PeerFolder): Promise<AuthorityState> {
  const state = await folder.authority.read();
  if (!state) throw new Error(`${folder.paths.authorityFolder} holds no authority`);
  return state;
}
