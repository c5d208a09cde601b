import type { Clock } from '../../../runtime/clock/index.ts';
import type { PeerFolder } from '../folder/index.ts';
import { NotAskableError } from './ask.ts';
import { PeerRefusedError, askPeer } from './client.ts';

/**
 * Ends it with a peer: tells it, and forgets it. A peer that is dead is only forgotten.
 * @throws {PeerUnreachableError} and keeps everything, when the peer could not be told
 */
export async function leavePeer(
  folder: PeerFolder,
  name: string,
  { dead, clock, signal }: { readonly dead: boolean; readonly clock: Clock; readonly signal: AbortSignal },
): Promise<'both' | 'ours'> {
  const peer = await folder.peer(name);
  if (!peer) throw new NotAskableError(`${name} is no peer of ${folder.own.name}`);
  const { enrolment, authorities } = peer;
  const credentials = await folder.credentialsFor(name);
  const canTell = peer.kind === 'isthmus' && enrolment !== undefined && authorities !== undefined && credentials;
  let told = false;
  if (!dead && canTell)
    try {
      await askPeer({ cluster: name, enrolment, authorities, credentials }, '/v1/leave', {}, clock, signal);
      told = true;
    } catch (error) {
      // It has forgotten us already: that is what was wanted.
      if (!(error instanceof PeerRefusedError) || error.code !== 'NOT_A_PEER') throw error;
      told = true;
    }
  await folder.change(() => folder.removePeer(name));
  return told ? 'both' : 'ours';
}
