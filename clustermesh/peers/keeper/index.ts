export { type Expiry, expiries } from './expiry.ts';
export { CertificateKeeper, type KeeperOptions } from './keeper.ts';
