export { type ClaimTermOptions, claimTerm } from './claim-term.ts';
export { type Fence, fencedStore } from './fenced-store.ts';
