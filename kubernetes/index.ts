export type * from './objects/index.ts';
export { followedKinds, isClusterScoped, isKubernetesKind, kubernetesKinds, mayDescribe } from './objects/index.ts';
export { FieldError, FieldReader } from './manifests/field-reader.ts';
export { serviceNameLabel } from './manifests/endpoint-slice.ts';
export { type Normalised, flattenLists, normaliseObject } from './manifests/normalise.ts';
export { type Manifest, toManifest } from './manifests/to-manifest.ts';
export { type ManifestPlace, objectId } from './manifests/collect.ts';
export type { ManifestProblem } from './manifests/problem.ts';
export { type Manifests, manifestFiles, parseManifests, readManifests } from './manifests/read-manifests.ts';
export { type ManifestSourceOptions, manifestSource } from './manifests/manifest-source.ts';
export { MemorySource } from './memory/memory-source.ts';
export { type ServeSourceOptions, type SourceServer, serveSource } from './stream/serve-source.ts';
export { type SourceMetrics, measureSource, sourceMetrics } from './measured/index.ts';
export { type StreamSourceOptions, streamSource } from './stream/stream-source.ts';
export {
  type ApiAnswer,
  ApiError,
  type ApiServer,
  ConfigError,
  type ConnectOptions,
  type KubernetesSourceOptions,
  LeadershipLostError,
  LeaseElection,
  type LeaseElectionOptions,
  type RequestOptions,
  kubernetesSource,
  openApiServer,
} from './client/index.ts';
