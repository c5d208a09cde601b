export type { PeerConfig, PeerEvent } from './peer-config.ts';
export { type PeerPolicy, PeerPolicyError, parsePeerPolicy, policyFileOf } from './peer-policy.ts';
export { type DirectoryScan, scanDirectory } from './scan-directory.ts';
export { type PeerWatchOptions, watchPeers } from './watch-peers.ts';
export {
  type CertificateName,
  type Credentials,
  isCertificateName,
  remoteUserOf,
  serverNameOf,
} from './certificates/index.ts';
export {
  type OwnMesh,
  PeerConflictError,
  PeerDocumentError,
  PeerFolder,
  PeerFolderError,
  type PeerRecord,
  peerPaths,
  readOwnMesh,
} from './folder/index.ts';
export { type RenewalStep, renewOwn, renewalFacts, renewalSteps } from './renewal/index.ts';
