/** There is no usable way to an API server: a kubeconfig, or what a pod is given, is missing or wrong. */
export class ConfigError extends Error {
  readonly code = 'KUBERNETES_CONFIG';

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ConfigError';
  }
}
