import {
  type KubernetesObject,
  type ManifestProblem,
  type Manifests,
  type Pod,
  type Workload,
  objectId,
} from '../../kubernetes/index.ts';
import {
  type FieldNote,
  foreignNotes,
  namespaceNotes,
  objectPath,
  ofKind,
  placementNotes,
  podNotes,
  serviceNotes,
  workloadNotes,
} from '../scheduler/index.ts';
import type { Topology } from '../topology/index.ts';

/**
 * Everything that manifests and topology ask for and the lab does otherwise or not at all, each with file, document and
 * field; in the order of the manifests. Nothing is passed over in silence.
 */
export function manifestNotes(
  manifests: Manifests,
  topology: Topology,
  pods: readonly Pod[],
  topologyFile: string | undefined,
): string[] {
  const { objects, workloads } = manifests;
  const slices = ofKind(objects, 'EndpointSlice');
  const services = new Set(ofKind(objects, 'Service').map(objectPath));
  const of = (object: KubernetesObject | Workload): readonly FieldNote[] => {
    switch (object.kind) {
      case 'Service':
        return serviceNotes(object, pods, slices);
      case 'Pod':
        return podNotes(object, topology);
      case 'Node':
      case 'EndpointSlice':
        return foreignNotes(object, services);
      case 'Namespace':
        return namespaceNotes(object);
      case 'ServiceExport':
      case 'NetworkPolicy':
      case 'CiliumNode':
      case 'CiliumIdentity':
      case 'CiliumEndpoint':
      case 'CiliumEndpointSlice':
        return [{ field: 'kind', message: 'plays no role here, skipped' }];
      case 'Deployment':
      case 'StatefulSet':
      case 'DaemonSet':
      case 'ReplicaSet':
      case 'Job':
        return workloadNotes(object);
    }
  };
  return [
    ...placementNotes(topology, workloads).map(
      ({ field, message }) => `${topologyFile ?? 'topology'}: ${field}: ${message}`,
    ),
    ...manifests.notes.map(problemText),
    ...[...workloads, ...objects].flatMap((object) => of(object).map((note) => placed(manifests, object, note))),
    ...[...manifests.skipped].map(([kind, count]) => `${count} × ${kind}: plays no role here, skipped`),
  ];
}

export function problemText({ file, document, line, message }: ManifestProblem): string {
  return `${file}: document ${document} (line ${line}): ${message}`;
}

function placed({ places }: Manifests, object: KubernetesObject | Workload, { field, message }: FieldNote): string {
  const { kind, metadata } = object;
  const place = places.get(objectId(kind, metadata.namespace, metadata.name));
  const name = `${kind} ${metadata.namespace === '' ? metadata.name : objectPath(object)}`;
  if (!place) return `${name}: ${field}: ${message}`;
  const at = `${place.path === '' ? '' : `${place.path}.`}${field}`;
  return `${place.file}: document ${place.document} (line ${place.line}): ${at}: ${name}: ${message}`;
}
