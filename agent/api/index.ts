export { type ApiDeps, agentRoutes } from './routes.ts';
export type { AgentStatus } from './status.ts';
