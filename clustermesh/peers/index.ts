export type { PeerConfig, PeerEvent } from './peer-config.ts';
export {
  PeerIdError,
  type PeerPolicy,
  PeerPolicyError,
  checkPeerId,
  parsePeerPolicy,
  policyFileOf,
  policyOf,
} from './peer-policy.ts';
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
  type AppliedPeer,
  type OwnMesh,
  PeerConflictError,
  PeerDocumentError,
  PeerFolder,
  PeerFolderError,
  type PeerRecord,
  applyPeers,
  factsOfCertificate,
  parsePeerObjects,
  peerPaths,
  readOwnMesh,
} from './folder/index.ts';
export {
  EnrolmentRefusal,
  type EnrolmentServer,
  type InvitationBundle,
  InviteError,
  NotAskableError,
  PeerRefusedError,
  PeerUnreachableError,
  acceptInvitation,
  exchangeWith,
  exchangesAtATime,
  formatBundle,
  invite,
  leavePeer,
  parseBundle,
  serveEnrolment,
} from './enrolment/index.ts';
export {
  addCilium,
  admitCilium,
  ciliumHelmValues,
  type CiliumRemote,
  ciliumSecret,
  endpointsBeyondHelm,
  readCilium,
} from './cilium/index.ts';
export { CertificateKeeper, type Expiry, expiries } from './keeper/index.ts';
export {
  type RenewalStep,
  issueOwn,
  renewOwn,
  type AuthorityProgress,
  authorityProgress,
  renewalFacts,
  renewalSteps,
  revokeFingerprint,
  revokeOwn,
} from './renewal/index.ts';
