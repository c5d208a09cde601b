import type { PeerFolder, PeerRecord } from '../../clustermesh/index.ts';
import { UsageError, closest } from '../../runtime/options/index.ts';

/** @throws {UsageError} naming those there are */
export async function existingPeer(folder: PeerFolder, name: string): Promise<PeerRecord> {
  const peers = await folder.peers();
  const found = peers.find((peer) => peer.name === name);
  if (found) return found;
  const names = peers.map((peer) => peer.name);
  const near = closest(name, names);
  throw new UsageError(`${folder.own.name} has no peer ${JSON.stringify(name)}`, {
    hint: near ? `did you mean ${near}?` : names.length === 0 ? 'it has none at all' : `its peers: ${names.join(', ')}`,
  });
}
