export type * from './messages.ts';
export { PodHostClient } from './pod-host-client.ts';
