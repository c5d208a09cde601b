export type { HoldersOptions, Said } from './holders.ts';
export { IdentityAllocator } from './identity-allocator.ts';
export type { AllocatorStore, IdentityAllocatorOptions } from './options.ts';
export { RangeExhaustedError } from './range-exhausted.ts';
export { type NumberConflict, NumberHolder, type NumberHolderOptions } from './number-holder.ts';
export { type Reference, listReferences, referenceKey } from './references.ts';
export { textDigest } from './resting-numbers.ts';
