import type { Clock } from '../../../runtime/clock/index.ts';
import { type PeerFolder, type PeerRecord, fingerprintsIn } from '../folder/index.ts';
import { askPeer } from './client.ts';
import { needsRenewal, noted, pendingRequest, trustsOf } from './exchange.ts';
import { introduce } from './introduce.ts';
import { type ExchangeRequest, readAnswer } from './messages.ts';
import { certificateFor, requestOf, signForPeer } from './signing.ts';

/** A peer's servers have read their users again by then (docs/etcd-api.md), and take a certificate that is new. */
const usersReadMs = 5000;
/** An exchange mostly waits: for an answer, and for servers to read their users. Each of half a thousand peers after the other would take hours. */
export const exchangesAtATime = 16;
/** Certificates that a peer was brought and perhaps never got, beside those that it has: it asks for another one each time. */
const maxAdmitted = 32;
/** The oldest of them: what it still comes with is among them. */
const keptFirst = 8;
/** Our news and theirs, what we have asked for, what they have asked for, and that we know it. */
const maxRounds = 4;

export interface AskOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Renews what we come with although it is not due. */
  readonly always?: boolean;
}

/** A peer that cannot be asked about certificates. */
export class NotAskableError extends Error {
  override readonly name = 'NotAskableError';
  readonly code = 'PEER_NOT_ASKABLE';
}

/**
 * Exchanges news with a peer until neither has any: authorities, and certificates that are due on either side. The old
 * certificate stays in place until the peer's servers know the new one.
 */
export async function exchangeWith(folder: PeerFolder, name: string, options: AskOptions): Promise<void> {
  const { clock, signal, always = false } = options;
  let renew = always;
  let brought: string | undefined;
  for (let round = 0; round < maxRounds; round++) {
    const { target, body } = await folder.change(() => prepare(folder, name, { renew, brought, nowMs: clock.now() }));
    brought = undefined;
    const answer = readAnswer(await askPeer(target, '/v1/exchange', body, clock, signal));
    if (answer.certificate !== undefined) {
      renew = false;
      await clock.sleep(usersReadMs, signal);
    }
    const taken = await folder.change(() => take(folder, name, body, answer, clock.now()));
    brought = taken.signed;
    // Our own servers have to know it before the peer comes with it.
    if (brought !== undefined) await clock.sleep(usersReadMs, signal);
    if (brought === undefined && !taken.hasNews && answer.certificate === undefined) return;
  }
}

function bounded(admitted: PeerRecord['admitted']): PeerRecord['admitted'] {
  if (admitted.length <= maxAdmitted) return admitted;
  return [...admitted.slice(0, keptFirst), ...admitted.slice(keptFirst - maxAdmitted)];
}

async function peerNamed(folder: PeerFolder, name: string): Promise<PeerRecord> {
  const peer = await folder.peer(name);
  if (!peer) throw new NotAskableError(`${name} is no peer of ${folder.own.name}`);
  return peer;
}

async function prepare(
  folder: PeerFolder,
  name: string,
  { renew, brought, nowMs }: { readonly renew: boolean; readonly brought: string | undefined; readonly nowMs: number },
): Promise<{ readonly target: Parameters<typeof askPeer>[0]; readonly body: ExchangeRequest }> {
  const peer = await peerNamed(folder, name);
  const credentials = await folder.credentialsFor(name);
  const { enrolment, authorities } = peer;
  if (peer.kind !== 'isthmus' || enrolment === undefined || authorities === undefined || !credentials)
    throw new NotAskableError(`${name} has no address where it can be asked about certificates`);
  const wants = renew || needsRenewal(credentials.certificate, authorities, nowMs);
  return {
    target: { cluster: name, enrolment, authorities, credentials },
    body: {
      cluster: await introduce(folder),
      trusts: trustsOf(peer),
      ...(wants ? { request: await pendingRequest(folder, name) } : {}),
      ...(brought === undefined ? {} : { certificate: brought }),
    },
  };
}

/** Takes note of an answer; gives what we have signed for the peer, and whether it has told us anything new. */
async function take(
  folder: PeerFolder,
  name: string,
  sent: ExchangeRequest,
  answer: ReturnType<typeof readAnswer>,
  nowMs: number,
): Promise<{ readonly signed: string | undefined; readonly hasNews: boolean }> {
  const before = await peerNamed(folder, name);
  // Whoever has answered was told our authorities, and has written them down before it answered.
  const trusts = fingerprintsIn(sent.cluster.authorities);
  let peer = noted(before, answer.cluster, trusts, nowMs);
  const { authorities = '' } = peer;
  const privateKey = await folder.pendingKey(name);
  const credentials =
    answer.certificate === undefined || privateKey === undefined
      ? undefined
      : {
          privateKey,
          certificate: certificateFor(answer.certificate, { own: folder.own.name, privateKey, authorities, nowMs }),
        };
  let signed: string | undefined;
  if (answer.request !== undefined) {
    const { publicKey } = await requestOf(name, answer.request);
    const given = await signForPeer(folder, name, publicKey, nowMs);
    signed = given.certificate;
    peer = { ...peer, admitted: bounded([...peer.admitted, given.admitted]) };
  }
  await folder.putPeer(peer, credentials);
  if (credentials) await folder.removePendingKey(name);
  return { signed, hasNews: before.authorities !== peer.authorities };
}
