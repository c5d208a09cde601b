export { sharedText } from './shared-text.ts';
