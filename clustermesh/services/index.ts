export { type Affinity, type ServiceSettings, annotatedGlobal, serviceSettings } from './annotations.ts';
export { mergeServices } from './merge-services.ts';
export { type SelectionRule, selectBackends } from './select-backends.ts';
export type { MeshBackend, ServiceBackends, ServicePortBackends } from './service-backends.ts';
export { serviceNameLabel } from './remote-slices.ts';
export {
  type LocalServiceWriter,
  type RemoteServiceWriter,
  type RemoteSliceWriter,
  ServiceTable,
  type ServiceView,
} from './service-view.ts';
