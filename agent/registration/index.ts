export { HeldNumbers } from './held-numbers.ts';
export { followIdentityQuestion } from './identity-question.ts';
export { RememberedNumbers } from './remembered-numbers.ts';
export { readBootId } from './boot-id.ts';
export { type OwnNodeFacts, endpointIpRecord, ownNodeRecord } from './own-records.ts';
export { Registration, type RegistrationDeps } from './registration.ts';
