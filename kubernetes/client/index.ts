import type { ApiServer } from './api-server.ts';
import type { ConnectOptions } from './connect.ts';

export type { ApiAnswer, ApiServer, RequestOptions } from './api-server.ts';
export { ApiError } from './api-error.ts';
export { ConfigError } from './config-error.ts';
export type { ConnectOptions } from './connect.ts';
export { LeadershipLostError, LeaseElection, type LeaseElectionOptions } from './lease-election.ts';
export { type KubernetesSourceOptions, kubernetesSource } from './kubernetes-source.ts';

/**
 * An API server by kubeconfig, or from within a pod. The client library is loaded here and not before: it takes a second
 * and some 80 MB, which no other command should pay.
 * @throws {ConfigError} when there is no usable configuration.
 */
export async function openApiServer(options: ConnectOptions): Promise<ApiServer> {
  const { connectApiServer } = await import('./connect.ts');
  return connectApiServer(options);
}
