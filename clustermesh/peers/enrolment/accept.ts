import type { Clock } from '../../../runtime/clock/index.ts';
import { createKey, createRequest, keyHashOf, publicKeyOf, remoteUserOf, serverNameOf } from '../certificates/index.ts';
import { type PeerFolder, type PeerRecord, refuseConflict } from '../folder/index.ts';
import type { InvitationBundle } from './bundle.ts';
import { PeerRefusedError, askPeer } from './client.ts';
import { introduce } from './introduce.ts';
import { type EnrolRequest, readAnswer } from './messages.ts';
import { EnrolmentRefusal } from './refusal.ts';
import { certificateFor, requestOf, signForPeer } from './signing.ts';
import { tokenHashOf } from './token.ts';

/** Codes of refusals after which the same may be asked again; `INTERNAL` may even have come after all was done. */
const passing: ReadonlySet<string> = new Set(['TOO_MANY_ATTEMPTS', 'INTERNAL', 'UNKNOWN']);

/**
 * Accepts an invitation: finds out that it is for us, that the other end is who has invited, brings the token and a
 * certificate, and keeps the one that comes back. Broken off, it may be done again with the same bundle.
 * @throws {PeerConflictError} {@link PeerRefusedError} {@link PeerUnreachableError} {@link TlsPeerError}
 */
export async function acceptInvitation(
  folder: PeerFolder,
  bundle: InvitationBundle,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<PeerRecord> {
  const { cluster, invited } = bundle;
  const nowMs = clock.now();
  const { own } = folder;
  if (invited.name !== own.name || invited.id !== own.id)
    throw new EnrolmentRefusal(
      'NAME_DIFFERS',
      403,
      `The invitation is for ${invited.name} with id ${invited.id}, and this is ${own.name} with id ${own.id}`,
    );
  if (nowMs >= bundle.expiresMs)
    throw new EnrolmentRefusal(
      'TOKEN_EXPIRED',
      403,
      `The invitation has expired on ${new Date(bundle.expiresMs).toISOString()}`,
    );
  const prepared = await folder.change(async () => (await finished(folder, bundle)) ?? prepare(folder, bundle, nowMs));
  if ('name' in prepared) return prepared;
  const { privateKey, sending, given } = prepared;
  const target = { cluster: cluster.name, enrolment: bundle.enrolment, authorities: bundle.authorities };
  const said = await askPeer(target, '/v1/enrol', sending, clock, signal).catch(async (error: unknown) => {
    // Nothing will come of this key, unless it was only too early, or broke off over there.
    if (error instanceof PeerRefusedError && !passing.has(error.code)) await folder.removePendingKey(cluster.name);
    throw error;
  });
  const answer = readAnswer(said);
  if (answer.cluster.name !== cluster.name || answer.cluster.id !== cluster.id)
    throw new EnrolmentRefusal('NAME_DIFFERS', 409, `${cluster.name} answers as ${answer.cluster.name}`);
  const { authorities } = answer.cluster;
  const certificate = certificateFor(answer.certificate ?? '', { own: own.name, privateKey, authorities, nowMs });
  return await folder.change(async () => {
    const before = await acceptedMeanwhile(folder, bundle, clock.now());
    // The cluster comes with what it was given last, which need not be what was asked last: both are let in.
    if (before) {
      const both = { ...before, admitted: [...before.admitted, given.admitted] };
      await folder.putPeer(both);
      if ((await folder.pendingKey(cluster.name)) === privateKey) await folder.removePendingKey(cluster.name);
      return both;
    }
    const peer: PeerRecord = {
      name: cluster.name,
      id: cluster.id,
      kind: 'isthmus',
      endpoints: answer.cluster.endpoints,
      serverName: serverNameOf(cluster.name),
      enrolment: answer.cluster.enrolment,
      allowedCidrs: undefined,
      maxConnectedClusters: answer.cluster.maxConnectedClusters,
      authorities,
      admitted: [given.admitted],
      trusts: [],
      sinceMs: nowMs,
      seenMs: nowMs,
      invitation: {
        id: bundle.invitation,
        tokenHash: tokenHashOf(bundle.token),
        keyHash: keyHashOf(publicKeyOf(privateKey)),
        certificate: given.certificate,
      },
    };
    await folder.putPeer(peer, { privateKey, certificate });
    await folder.removePendingKey(cluster.name);
    return peer;
  });
}

/**
 * What another acceptance of the same invitation has written meanwhile; undefined where none has. The answer took its time: the cluster
 * may have been left, and its name or id given to another one. @throws {EnrolmentRefusal} {@link PeerConflictError}
 */
async function acceptedMeanwhile(
  folder: PeerFolder,
  { cluster, invitation }: InvitationBundle,
  nowMs: number,
): Promise<PeerRecord | undefined> {
  const peers = await folder.peers();
  const before = peers.find((peer) => peer.name === cluster.name && peer.invitation?.id === invitation);
  if (before) return before;
  if ((await folder.pendingKey(cluster.name)) === undefined)
    throw new EnrolmentRefusal(
      'PEER_LEFT',
      409,
      `${cluster.name} was left while its invitation was being accepted; it has to leave, too, and to invite again`,
    );
  try {
    refuseConflict(cluster, folder.own, { peers, invitations: await folder.openInvitations(nowMs) });
  } catch (error) {
    await folder.removePendingKey(cluster.name);
    throw error;
  }
  return undefined;
}

/** Where only the last steps of an earlier attempt are missing, they are done: nobody has to be asked again. */
async function finished(folder: PeerFolder, bundle: InvitationBundle): Promise<PeerRecord | undefined> {
  const { name } = bundle.cluster;
  const peer = await folder.peer(name);
  // The key waits until the very end.
  if (peer?.invitation?.id !== bundle.invitation || (await folder.pendingKey(name)) === undefined) return undefined;
  await folder.derive();
  await folder.removePendingKey(name);
  return peer;
}

/** What is sent, with a key that is kept until the answer has come, however often that is tried. */
async function prepare(
  folder: PeerFolder,
  { cluster, request, invitation, token }: InvitationBundle,
  nowMs: number,
): Promise<{
  readonly privateKey: string;
  readonly sending: EnrolRequest;
  readonly given: Awaited<ReturnType<typeof signForPeer>>;
}> {
  const known = { peers: await folder.peers(), invitations: await folder.openInvitations(nowMs) };
  refuseConflict(cluster, folder.own, known);
  const waiting = await folder.pendingKey(cluster.name);
  const privateKey = waiting ?? (await createKey());
  if (waiting === undefined) await folder.putPendingKey(cluster.name, privateKey);
  const { publicKey } = await requestOf(cluster.name, request);
  const given = await signForPeer(folder, cluster.name, publicKey, nowMs);
  const sending = {
    invitation,
    token,
    cluster: await introduce(folder),
    request: await createRequest(remoteUserOf(folder.own.name), privateKey),
    certificate: given.certificate,
  };
  return { privateKey, sending, given };
}
