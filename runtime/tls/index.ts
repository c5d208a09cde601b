export { type CertificateFacts, certificatesOf, factsOf, inWords, validityProblem } from './certificate.ts';
export { TlsFileError, type TlsFiles, type TlsMaterial, readTlsFiles } from './files.ts';
export { type PeerExpectation, TlsPeerError, type TlsProblem, explainTlsFailure, peerError } from './peer-error.ts';
export { type SecureConnection, type TlsTarget, connectTls, secureContextOf } from './connect.ts';
export { TlsSource, type TlsSourceDependencies } from './source.ts';
