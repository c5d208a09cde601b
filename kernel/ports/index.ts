export type * from './kernel.ts';
export type * from './network.ts';
export type * from './bpf.ts';
export { KernelError, MissingFeatureError, PinnedMapError } from './errors.ts';
