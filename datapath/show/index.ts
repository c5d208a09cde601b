export { readableMaps } from './readable-maps.ts';
