export { type AllocatorStore, IdentityAllocator, type IdentityAllocatorOptions } from './identity-allocator.ts';
export { RangeExhaustedError } from './range-exhausted.ts';
export { type NumberConflict, NumberHolder, type NumberHolderOptions } from './number-holder.ts';
export { type Reference, listReferences, referenceKey } from './references.ts';
