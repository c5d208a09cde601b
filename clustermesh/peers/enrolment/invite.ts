import { createKey, createRequest, remoteUserOf } from '../certificates/index.ts';
import { PeerConflictError, type PeerFolder, fingerprintOf, refuseConflict, trustedOf } from '../folder/index.ts';
import type { InvitationBundle } from './bundle.ts';
import { InviteError, existingAuthority, requireEndpoints } from './invite-error.ts';
import { createInvitationId, createToken, tokenHashOf } from './token.ts';

export interface InviteOptions {
  readonly name: string;
  /** The least that is free unless given. */
  readonly id?: number | undefined;
  readonly nowMs: number;
  readonly validForMs: number;
}

/**
 * Writes down an invitation and gives the bundle for it. An invitation to the same cluster that is still open ends.
 * @throws {InviteError} {@link PeerConflictError}
 */
export async function invite(folder: PeerFolder, options: InviteOptions): Promise<InvitationBundle> {
  const { name, nowMs, validForMs } = options;
  return await folder.change(async () => {
    const { own } = folder;
    requireEndpoints(own, name);
    if (own.enrolment === undefined)
      throw new InviteError(
        `${own.name} has no address at which ${name} could enrol`,
        'isthmus peer init --enrolment https://HOST:PORT says where others reach --peer-listen',
      );
    const peers = await folder.peers();
    const before = await folder.invitations();
    const open = before.filter((one) => one.name !== name && one.expiresMs >= nowMs);
    const id = options.id ?? freeId(own, [...peers.map((peer) => peer.id), ...open.map(({ clusterId }) => clusterId)]);
    refuseConflict({ name, id }, own, { peers, invitations: open });
    const state = await existingAuthority(folder);
    for (const one of before) if (!open.includes(one)) await folder.removeInvitation(one.id);
    const [token, privateKey, invitation] = [createToken(), await createKey(), createInvitationId()];
    const expiresMs = nowMs + validForMs;
    await folder.putInvitation({
      id: invitation,
      name,
      clusterId: id,
      tokenHash: tokenHashOf(token),
      expiresMs,
      failures: 0,
      privateKey,
    });
    return {
      cluster: { name: own.name, id: own.id, maxConnectedClusters: own.maxConnectedClusters },
      invited: { name, id },
      endpoints: own.endpoints,
      enrolment: own.enrolment,
      authorities: trustedOf(state),
      fingerprint: fingerprintOf(state.current.certificate),
      request: await createRequest(remoteUserOf(own.name), privateKey),
      invitation,
      token,
      expiresMs,
    };
  });
}

function freeId(own: { readonly id: number; readonly maxConnectedClusters: number }, taken: readonly number[]): number {
  const used = new Set([own.id, ...taken]);
  for (let id = 1; id <= own.maxConnectedClusters; id++) if (!used.has(id)) return id;
  throw new PeerConflictError('ID_RANGE', `All ${own.maxConnectedClusters} cluster ids are taken`);
}
