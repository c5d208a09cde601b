export {
  type Credentials,
  type ReadRequest,
  createAuthority,
  createRequest,
  issue,
  readRequest,
  signKey,
} from './issue.ts';
export { createKey, isStrongKey, keyHashOf, publicKeyOf } from './keys.ts';
export {
  type CertificateName,
  type CertificateProfile,
  isCertificateName,
  profileOf,
  remoteUserOf,
  serverNameOf,
  standingCertificates,
} from './profiles.ts';
