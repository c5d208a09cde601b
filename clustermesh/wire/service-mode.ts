/** Which form of backends this cluster's processes read (kvstore-schema §16.2, `--clustermesh-service-v2`). */
export type ServiceMode = 'prefer-legacy' | 'prefer-endpointslice' | 'only-endpointslice';
export const serviceModes: readonly ServiceMode[] = ['prefer-legacy', 'prefer-endpointslice', 'only-endpointslice'];
