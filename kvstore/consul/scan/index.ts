export { ListingScanner } from './listing-scanner.ts';
export type { RawEntry } from './raw-entry.ts';
