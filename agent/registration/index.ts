export { HeldNumbers } from './held-numbers.ts';
export { readBootId } from './boot-id.ts';
export { type OwnNodeFacts, endpointIpRecord, ownNodeRecord } from './own-records.ts';
export { Registration, type RegistrationDeps } from './registration.ts';
