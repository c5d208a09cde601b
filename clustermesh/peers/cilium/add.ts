import type { PeerFolder, PeerRecord } from '../folder/index.ts';
import { refuseCiliumConflict } from './admit.ts';
import type { CiliumRemote } from './secret.ts';

/** Follows a Cilium cluster by what it has handed out. What it was given of ours before stays. @throws {PeerConflictError} */
export async function addCilium(
  folder: PeerFolder,
  remote: CiliumRemote,
  { id = 0, nowMs }: { readonly id?: number | undefined; readonly nowMs: number },
): Promise<PeerRecord> {
  return await folder.change(async () => {
    const { name } = remote;
    const before = await folder.peer(name);
    const isKnown = before?.kind === 'cilium';
    const peers = (await folder.peers()).filter((peer) => !(isKnown && peer.name === name));
    const clusterId = id === 0 ? (before?.id ?? 0) : id;
    refuseCiliumConflict({ name, id: clusterId }, folder.own, {
      peers,
      invitations: await folder.openInvitations(nowMs),
    });
    const record: PeerRecord = {
      name,
      id: clusterId,
      kind: 'cilium',
      endpoints: remote.endpoints,
      serverName: remote.serverName,
      enrolment: undefined,
      allowedCidrs: before?.allowedCidrs,
      maxConnectedClusters: undefined,
      authorities: remote.authorities,
      admitted: before?.admitted ?? [],
      trusts: before?.trusts ?? [],
      sinceMs: before?.sinceMs ?? nowMs,
      seenMs: undefined,
      invitation: undefined,
    };
    await folder.putPeer(record, { certificate: remote.certificate, privateKey: remote.privateKey });
    return record;
  });
}
