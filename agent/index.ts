export type { AgentDeps, AgentOptions, RunningAgent } from './agent-options.ts';
export type { AgentStatus } from './api/index.ts';
export { etcdRemoteStores, remoteCertificate } from './etcd-remote-stores.ts';
export { runAgent } from './run-agent.ts';
