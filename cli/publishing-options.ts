import { labelFilter, serviceV2Modes, type ServiceV2Mode } from '../clustermesh/index.ts';
import { type KubernetesKind, type SourceMode, followedKinds } from '../kubernetes/index.ts';
import { UsageError, defineOptions } from '../runtime/options/index.ts';

/** What is published of a cluster; names as in Cilium where it has the option. */
export const publishingOptions = defineOptions({
  'source-mode': {
    type: 'choice',
    choices: ['kubernetes', 'cilium'],
    default: 'kubernetes',
    help: "Whose objects nodes and endpoints are made of: kubernetes (our agents run) or cilium (Cilium's do)",
  },
  'enable-cilium-endpoint-slice': {
    type: 'boolean',
    help: 'In mode cilium, endpoints come in CiliumEndpointSlices',
  },
  'clustermesh-service-v2': {
    type: 'choice',
    choices: serviceV2Modes,
    default: 'prefer-legacy',
    help: 'Which forms of shared services are exported: both, or EndpointSlices only',
  },
  'clustermesh-enable-mcs-api': { type: 'boolean', help: 'Publish service exports (MCS-API)' },
  'clustermesh-default-global-namespace': {
    type: 'boolean',
    default: true,
    help: 'Whether namespaces without the annotation clustermesh.cilium.io/global are exported',
  },
  labels: {
    type: 'list',
    placeholder: 'PATTERN',
    help: 'Labels that make an identity, [source:][!]expression, added to the defaults; not in mode cilium',
  },
});

/** What an apiserver publishes, and the kinds that its source has to follow for it. */
export interface Publishing {
  readonly kinds: readonly KubernetesKind[];
  readonly serviceV2: ServiceV2Mode;
  readonly serviceExports: boolean;
  readonly defaultGlobalNamespace: boolean;
  readonly identityLabels: readonly string[];
}

/** @throws {UsageError} for options that contradict each other, or patterns that are none. */
export function publishingOf(values: {
  readonly sourceMode: SourceMode;
  readonly enableCiliumEndpointSlice: boolean;
  readonly clustermeshServiceV2: ServiceV2Mode;
  readonly clustermeshEnableMcsApi: boolean;
  readonly clustermeshDefaultGlobalNamespace: boolean;
  readonly labels: readonly string[];
}): Publishing {
  const { sourceMode: mode, enableCiliumEndpointSlice, clustermeshEnableMcsApi: serviceExports, labels } = values;
  // As in Cilium, where the whole list is one value, patterns may also be separated by blanks.
  const identityLabels = labels.flatMap((text) => text.split(/\s+/).filter((pattern) => pattern !== ''));
  if (mode === 'kubernetes' && enableCiliumEndpointSlice)
    throw new UsageError('--enable-cilium-endpoint-slice needs --source-mode cilium', {
      option: '--enable-cilium-endpoint-slice',
    });
  if (mode === 'cilium' && identityLabels.length > 0)
    throw new UsageError("--labels says nothing in --source-mode cilium: Cilium's own agents make identities there", {
      option: '--labels',
    });
  try {
    labelFilter(identityLabels);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--labels: ${error.message}`, { option: '--labels' });
    throw error;
  }
  return {
    kinds: followedKinds({ mode, ciliumEndpointSlices: enableCiliumEndpointSlice, serviceExports }),
    serviceV2: values.clustermeshServiceV2,
    serviceExports,
    defaultGlobalNamespace: values.clustermeshDefaultGlobalNamespace,
    identityLabels,
  };
}
