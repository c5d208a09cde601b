export type * from './messages.ts';
export { KeptPodHost } from './kept-pod-host.ts';
export { PodHostGoneError } from './pod-host-client.ts';
