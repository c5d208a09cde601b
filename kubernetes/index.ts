export type * from './objects/index.ts';
