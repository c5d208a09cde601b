export {
  type AuthorityNotes,
  type AuthorityState,
  AuthorityFiles,
  factsOfCertificate,
  fingerprintOf,
  fingerprintsIn,
  trustedOf,
} from './authority.ts';
export { type Candidate, type PeerConflict, PeerConflictError, refuseConflict } from './conflicts.ts';
export { DocumentReader, PeerDocumentError } from './document.ts';
export type { Invitation } from './invitation.ts';
export { FolderBusyError } from './lock.ts';
export { type OwnMesh, serverNamesOf } from './own-cluster.ts';
export { type CertificatePaths, type PeerPaths, configFiles, peerPaths } from './paths.ts';
export { PeerFolder, PeerFolderError, readOwnMesh } from './peer-folder.ts';
export { type AcceptedInvitation, type Admitted, type PeerKind, type PeerRecord, timeText } from './peer-record.ts';
export { type AppliedPeer, type ApplyOptions, applyPeers } from './apply.ts';
export { type PeerObject, parsePeerObjects } from './peer-object.ts';
