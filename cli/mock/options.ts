import { type MockFault, type MockShape, defaultMockShape, mockFaults } from '../../clustermesh/index.ts';
import { UsageError, defineOptions } from '../../runtime/options/index.ts';

const { clusters, nodes, identities, endpoints, services } = defaultMockShape;

/** How large the clusters are, and what they do. */
export const mockOptions = defineOptions({
  clusters: { type: 'number', default: clusters, min: 1, max: 511, placeholder: 'N', help: 'Number of clusters' },
  'first-cluster-id': { type: 'number', default: 1, min: 1, max: 511, placeholder: 'N', help: 'Id of the first one' },
  nodes: { type: 'number', default: nodes, min: 1, placeholder: 'N', help: 'Nodes of each cluster' },
  identities: { type: 'number', default: identities, min: 1, placeholder: 'N', help: 'Identities of each cluster' },
  endpoints: { type: 'number', default: endpoints, min: 0, placeholder: 'N', help: 'Endpoints of each cluster' },
  services: { type: 'number', default: services, min: 0, placeholder: 'N', help: 'Global services of each cluster' },
  churn: {
    type: 'number',
    default: 100,
    min: 0,
    max: 100_000,
    placeholder: 'PERCENT',
    help: 'Changes, in percent of 1 endpoint, 0.2 identities and 0.1 nodes a second and cluster',
  },
  seed: { type: 'number', default: 1, min: 0, max: 2 ** 31, placeholder: 'N', help: 'The same seed says the same' },
  faults: { type: 'list', default: [], placeholder: 'A,B', help: `Things that go wrong: ${mockFaults.join(', ')}` },
  'fault-interval': { type: 'duration', default: '10s', help: 'From one fault to the next' },
});

export function mockShapeOf(options: {
  readonly clusters: number;
  readonly nodes: number;
  readonly identities: number;
  readonly endpoints: number;
  readonly services: number;
  readonly churn: number;
}): MockShape {
  const { clusters, nodes, identities, endpoints, services, churn } = options;
  const { endpointChanges, identityChanges, nodeChanges } = defaultMockShape;
  return {
    clusters,
    nodes,
    identities,
    endpoints,
    services,
    endpointChanges: (endpointChanges * churn) / 100,
    identityChanges: (identityChanges * churn) / 100,
    nodeChanges: (nodeChanges * churn) / 100,
  };
}

/** @throws {UsageError} */
export function mockFaultsOf(names: readonly string[]): readonly MockFault[] {
  return names.map((name) => {
    const fault = mockFaults.find((known) => known === name);
    if (fault) return fault;
    throw new UsageError(`There is no fault ${JSON.stringify(name)}`, {
      option: '--faults',
      hint: `one or more of ${mockFaults.join(', ')}`,
    });
  });
}
