import { type Admitted, type PeerFolder, fingerprintsIn, refuseConflict, trustedOf } from '../folder/index.ts';
import { createKey, publicKeyOf } from '../certificates/index.ts';
import { overlapMs } from '../renewal/index.ts';
import { ciliumLifetimeMs, existingAuthority, requireEndpoints, signForPeer } from '../enrolment/index.ts';
import type { CiliumRemote } from './secret.ts';

/**
 * Lets a cluster in that runs Cilium: it gets a key and a certificate of ours, valid for three years as Cilium's own are,
 * since nothing there asks for another one. Done again, it gets another one; with the one before it may come for another
 * day, until that was brought there.
 * @throws {InviteError} {@link PeerConflictError}
 */
export async function admitCilium(
  folder: PeerFolder,
  { name, id = 0, nowMs }: { readonly name: string; readonly id?: number | undefined; readonly nowMs: number },
): Promise<CiliumRemote> {
  return await folder.change(async () => {
    const { own } = folder;
    requireEndpoints(own, name);
    const before = await folder.peer(name);
    const isKnown = before?.kind === 'cilium';
    const peers = (await folder.peers()).filter((peer) => !(isKnown && peer.name === name));
    const clusterId = id === 0 ? (before?.id ?? 0) : id;
    refuseCiliumConflict({ name, id: clusterId }, own, { peers, invitations: await folder.openInvitations(nowMs) });
    const state = await existingAuthority(folder);
    const privateKey = await createKey();
    const authorities = trustedOf(state);
    const { certificate, admitted } = await signForPeer(folder, name, publicKeyOf(privateKey), nowMs, ciliumLifetimeMs);
    await folder.putPeer({
      name,
      id: clusterId,
      kind: 'cilium',
      endpoints: before?.endpoints ?? [],
      serverName: before?.serverName,
      enrolment: undefined,
      allowedCidrs: before?.allowedCidrs,
      maxConnectedClusters: undefined,
      authorities: before?.authorities,
      admitted: [...(before?.admitted ?? []).map((one) => endingSoon(one, nowMs)), admitted],
      // It will not say so itself: what it is given now is what it trusts.
      trusts: fingerprintsIn(authorities),
      sinceMs: before?.sinceMs ?? nowMs,
      seenMs: undefined,
      invitation: undefined,
    });
    return { name: own.name, endpoints: own.endpoints, authorities, certificate, privateKey };
  });
}

/** What was given before goes once the new one can be there, if it is valid for so long. */
function endingSoon(one: Admitted, nowMs: number): Admitted {
  return { ...one, notAfterMs: Math.min(one.notAfterMs, nowMs + overlapMs) };
}

/** As for any peer; an id that nobody has told (0) conflicts with none. @throws {PeerConflictError} */
export function refuseCiliumConflict(
  candidate: { readonly name: string; readonly id: number },
  own: Parameters<typeof refuseConflict>[1],
  known: Parameters<typeof refuseConflict>[2],
): void {
  if (candidate.id !== 0) return refuseConflict(candidate, own, known);
  // An id that is certainly free, so that only the name counts.
  const taken = new Set([
    own.id,
    ...known.peers.map(({ id }) => id),
    ...(known.invitations ?? []).map((one) => one.clusterId),
  ]);
  const free = Array.from({ length: own.maxConnectedClusters }, (_, i) => i + 1).find((one) => !taken.has(one)) ?? 1;
  return refuseConflict({ name: candidate.name, id: free }, own, known);
}
