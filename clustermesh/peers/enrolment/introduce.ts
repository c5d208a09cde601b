import { type PeerFolder, trustedOf } from '../folder/index.ts';
import type { Introduction } from './messages.ts';

/** What we say of ourselves to a peer. */
export async function introduce(folder: PeerFolder): Promise<Introduction> {
  const state = await folder.authority.read();
  if (!state) throw new Error(`${folder.paths.authorityFolder} holds no authority`);
  const { name, id, maxConnectedClusters, endpoints, enrolment } = folder.own;
  return {
    name,
    id,
    maxConnectedClusters,
    endpoints,
    ...(enrolment === undefined ? {} : { enrolment }),
    authorities: trustedOf(state),
  };
}
