import type { KubernetesKind, KubernetesObject, Workload } from '../objects/index.ts';
import { readCiliumEndpoint, readCiliumEndpointSlice } from './cilium-endpoint.ts';
import { readCiliumIdentity } from './cilium-identity.ts';
import { readCiliumNode } from './cilium-node.ts';
import { readEndpointSlice } from './endpoint-slice.ts';
import { FieldReader } from './field-reader.ts';
import { readNetworkPolicy } from './network-policy.ts';
import { readNamespace, readNode } from './node.ts';
import { readPod } from './pod.ts';
import { readServiceExport } from './service-export.ts';
import { readService } from './service.ts';
import { readWorkload, workloadKinds } from './workload.ts';

/** What a raw object turned out to be. */
export type Normalised =
  | { readonly type: 'object'; readonly object: KubernetesObject }
  | { readonly type: 'workload'; readonly workload: Workload }
  /** A kind that plays no role here; with its API group unless that is the core one. */
  | { readonly type: 'skipped'; readonly kind: string };

type Read = (reader: FieldReader) => KubernetesObject;

const readers: Readonly<Record<KubernetesKind, { readonly group: RegExp; readonly read: Read }>> = {
  Namespace: { group: /^v1$/, read: readNamespace },
  Node: { group: /^v1$/, read: readNode },
  Pod: { group: /^v1$/, read: readPod },
  Service: { group: /^v1$/, read: readService },
  EndpointSlice: { group: /^discovery\.k8s\.io\//, read: readEndpointSlice },
  ServiceExport: { group: /^multicluster\.x-k8s\.io\//, read: readServiceExport },
  NetworkPolicy: { group: /^networking\.k8s\.io\//, read: readNetworkPolicy },
  CiliumNode: { group: /^cilium\.io\//, read: readCiliumNode },
  CiliumIdentity: { group: /^cilium\.io\//, read: readCiliumIdentity },
  CiliumEndpoint: { group: /^cilium\.io\//, read: readCiliumEndpoint },
  CiliumEndpointSlice: { group: /^cilium\.io\//, read: readCiliumEndpointSlice },
};
const objectKinds = new Map<string, (typeof readers)[KubernetesKind]>(Object.entries(readers));

/**
 * Brings one object, as YAML or JSON gave it in the form of Kubernetes' API, into the narrow types of `objects/`.
 * @param path where the object stands in its document, for messages (`items[3]`).
 * @throws {FieldError} naming the member that is wrong.
 */
export function normaliseObject(raw: unknown, path = ''): Normalised {
  const reader = new FieldReader(raw, path);
  const kind = reader.text('kind');
  const apiVersion = reader.text('apiVersion');
  const known = objectKinds.get(kind);
  if (known?.group.test(apiVersion)) return { type: 'object', object: known.read(reader) };
  const workload = workloadKinds.find((word) => word === kind);
  if (workload && (workload === 'Job' ? /^batch\// : /^(apps|extensions)\//).test(apiVersion))
    return { type: 'workload', workload: readWorkload(reader, workload) };
  const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
  return { type: 'skipped', kind: group === '' ? kind : `${kind}.${group}` };
}

/**
 * Items of a `List` (or `PodList`, …), lists within lists too; of anything else the object itself. The path of each is
 * given back for messages. Items of a typed list may leave out what the list says.
 */
export function* flattenLists(raw: unknown, path = ''): Generator<{ readonly raw: unknown; readonly path: string }> {
  const kind = (raw as { kind?: unknown } | null)?.kind;
  if (typeof kind !== 'string' || !kind.endsWith('List') || !new FieldReader(raw, path).has('items')) {
    yield { raw, path };
    return;
  }
  const list = new FieldReader(raw, path);
  const item = kind.slice(0, -'List'.length);
  const defaults = item === '' ? {} : { apiVersion: list.get('apiVersion'), kind: item };
  const items = list.list('items', (reader, i) => ({ path: reader.path, raw: (list.get('items') as unknown[])[i] }));
  for (const entry of items) yield* flattenLists({ ...defaults, ...(entry.raw as object) }, entry.path);
}
