export { ListingScanner } from './listing-scanner.ts';
export { type RawEntry, checksumOf } from './raw-entry.ts';
