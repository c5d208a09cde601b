export { renewalFacts } from './facts.ts';
export { renewOwn } from './renew.ts';
export {
  type AuthorityFacts,
  type Dated,
  type OwnCertificateFacts,
  type PeerFacts,
  type RenewalFacts,
  type RenewalStep,
  isDue,
  overlapMs,
  renewalSteps,
} from './steps.ts';
export { issueOwn, lifetimeUnder } from './take-step.ts';
export { revokeFingerprint, revokeOwn } from './revoke.ts';
export { type AuthorityProgress, authorityProgress } from './progress.ts';
