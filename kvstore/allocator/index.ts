export { type AllocatorStore, IdentityAllocator, type IdentityAllocatorOptions } from './identity-allocator.ts';
export { RangeExhaustedError } from './range-exhausted.ts';
