export type * from './objects.ts';
export { type Subject, mayDescribe } from './may-describe.ts';
