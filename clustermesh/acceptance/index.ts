export { BlockSet } from './block-set.ts';
export { type OwnPart, OwnSpace, type OwnSpaceContent } from './own-space.ts';
export { type AddressProblem, AddressRules, type HostProblem } from './address-rules.ts';
export { type RefusalCode, RecordRefusedError, refusalCodeOf, refusalCodes } from './refusal.ts';
