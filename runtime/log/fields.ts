/** Names of log fields that more than one component writes. */
export const fields = {
  component: 'component',
  cluster: 'cluster',
  node: 'node',
  key: 'key',
  prefix: 'prefix',
  revision: 'revision',
  error: 'error',
  hint: 'hint',
  attempt: 'attempt',
  delayMs: 'delayMs',
  endpoint: 'endpoint',
  count: 'count',
} as const;
