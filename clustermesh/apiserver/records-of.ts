import { serviceSettings } from '../services/index.ts';
import {
  encodeEndpointSlice,
  encodeIdentity,
  encodeIp,
  encodeLocalEndpoints,
  encodeLocalService,
  encodeNamespace,
  encodeNode,
  encodeNodeAssignment,
  encodePolicy,
  encodeService,
  encodeServiceExport,
  keyOfEndpointSlice,
  keyOfIdentity,
  keyOfIp,
  keyOfLocalEndpoints,
  keyOfLocalService,
  keyOfNamespace,
  keyOfNode,
  keyOfNodeAssignment,
  keyOfPolicy,
  keyOfService,
  keyOfServiceExport,
} from '../wire/index.ts';
import { isGlobalNamespace } from './convert/annotations.ts';
import { ipRecordsOf, ipRecordsOfSlice } from './convert/cilium-endpoint.ts';
import { identityRecordOf, namespaceOfIdentity } from './convert/cilium-identity.ts';
import { nodeRecordOf } from './convert/cilium-node.ts';
import { clusterServiceOf } from './convert/cluster-service.ts';
import { localEndpointsOf, localServiceOf, serviceNameOf } from './convert/local-service.ts';
import { namespaceOf, nodeAssignmentOf, policyOf } from './convert/placement.ts';
import { serviceExportOf } from './convert/service-export.ts';
import { sliceRecordOf } from './convert/slice-record.ts';
import type { KnownObjects } from './known-objects.ts';
import type { KeyRecord } from './owned-keys.ts';
import type { Unit } from './units.ts';

export interface RecordContext {
  readonly cluster: { readonly name: string; readonly id: number };
  readonly objects: KnownObjects;
  /** Whether a namespace without annotation is exported. */
  readonly defaultGlobalNamespace: boolean;
  /** Whether a namespace is not known and will be told: until then nobody can say what it forbids. */
  readonly awaitsNamespace: (namespace: string) => boolean;
  /** When an export was made whose object does not say so. */
  readonly exportCreatedMs: (unit: Unit) => number;
}

/**
 * What follows from a unit, by what is known now. Pods are not decided on here: their identity has to be allocated first.
 * @throws when an object makes no valid record.
 */
export function recordsOf(unit: Unit, context: RecordContext): readonly KeyRecord[] {
  const { objects, cluster } = context;
  const { kind, namespace, name } = unit;
  switch (kind) {
    case 'Namespace':
      return made(objects.get(kind, '', name), namespaceOf, keyOfNamespace, encodeNamespace);
    case 'Node':
      return made(objects.get(kind, '', name), nodeAssignmentOf, keyOfNodeAssignment, encodeNodeAssignment);
    case 'Service':
      return made(objects.get(kind, namespace, name), localServiceOf, keyOfLocalService, encodeLocalService);
    case 'EndpointSlice':
      return made(objects.get(kind, namespace, name), localEndpointsOf, keyOfLocalEndpoints, encodeLocalEndpoints);
    case 'NetworkPolicy':
      return made(objects.get(kind, namespace, name), policyOf, keyOfPolicy, encodePolicy);
    case 'CiliumNode':
      return made(objects.get(kind, '', name), (node) => nodeRecordOf(node, cluster), keyOfNode, encodeNode);
    case 'shared':
      return sharedService(namespace, name, context);
    case 'slice':
      return sharedSlice(namespace, name, context);
    case 'export':
      return serviceExport(unit, context);
    case 'CiliumIdentity': {
      const identity = objects.get(kind, '', name);
      const record = identity && identityRecordOf(identity);
      if (!record || !isExported(namespaceOfIdentity(identity) ?? '', context)) return [];
      return [{ key: keyOfIdentity(record), value: encodeIdentity(record) }];
    }
    case 'CiliumEndpoint': {
      const endpoint = objects.get(kind, namespace, name);
      if (!endpoint || !isExported(namespace, context)) return [];
      return ipRecordsOf(endpoint).map((record) => ({ key: keyOfIp(record), value: encodeIp(record) }));
    }
    case 'CiliumEndpointSlice': {
      const slice = objects.get(kind, '', name);
      if (!slice || !isExported(slice.namespace, context)) return [];
      return ipRecordsOfSlice(slice).map((record) => ({ key: keyOfIp(record), value: encodeIp(record) }));
    }
    case 'Pod':
      throw new TypeError('A pod takes an identity first');
  }
}

/** The namespace that decides whether a unit is exported; nothing for what never depends on one. */
export function namespaceOfUnit({ kind, namespace, name }: Unit, objects: KnownObjects): string | undefined {
  switch (kind) {
    case 'Pod':
    case 'shared':
    case 'slice':
    case 'export':
    case 'CiliumEndpoint':
      return namespace;
    case 'CiliumEndpointSlice':
      return objects.get(kind, '', name)?.namespace;
    case 'CiliumIdentity': {
      const identity = objects.get(kind, '', name);
      return identity && namespaceOfIdentity(identity);
    }
    case 'Namespace':
    case 'Node':
    case 'Service':
    case 'EndpointSlice':
    case 'NetworkPolicy':
    case 'CiliumNode':
      return undefined;
  }
}

/** A namespace that nobody will ever tell of says nothing against it. */
export function isExported(
  namespace: string,
  { objects, defaultGlobalNamespace, awaitsNamespace }: Omit<RecordContext, 'cluster' | 'exportCreatedMs'>,
): boolean {
  if (awaitsNamespace(namespace)) return false;
  const known = objects.get('Namespace', '', namespace);
  return isGlobalNamespace(known?.metadata.annotations ?? {}, defaultGlobalNamespace);
}

function sharedService(namespace: string, name: string, context: RecordContext): readonly KeyRecord[] {
  const { objects, cluster } = context;
  if (!isShared(namespace, name, context)) return [];
  return made(
    objects.get('Service', namespace, name),
    (service) => clusterServiceOf(service, objects.slicesOf(namespace, name), cluster),
    keyOfService,
    encodeService,
  );
}

function sharedSlice(namespace: string, name: string, context: RecordContext): readonly KeyRecord[] {
  const slice = context.objects.get('EndpointSlice', namespace, name);
  const service = slice && serviceNameOf(slice);
  if (service === undefined || !isShared(namespace, service, context)) return [];
  return made(slice, (object) => sliceRecordOf(object, context.cluster), keyOfEndpointSlice, encodeEndpointSlice);
}

function serviceExport(unit: Unit, context: RecordContext): readonly KeyRecord[] {
  const { objects, cluster, exportCreatedMs } = context;
  const service = objects.get('Service', unit.namespace, unit.name);
  if (!service || !isExported(unit.namespace, context)) return [];
  return made(
    objects.get('ServiceExport', unit.namespace, unit.name),
    (object) => serviceExportOf(object, service, cluster.name, exportCreatedMs(unit)),
    keyOfServiceExport,
    encodeServiceExport,
  );
}

/** Whether the backends of a Service are exported: it is global and shared, and so is its namespace. */
function isShared(namespace: string, name: string, context: RecordContext): boolean {
  const service = context.objects.get('Service', namespace, name);
  if (!service || service.spec.type === 'ExternalName') return false;
  return serviceSettings(service.metadata.annotations).shared && isExported(namespace, context);
}

function made<O, R>(
  object: O | undefined,
  convert: (object: O) => R | undefined,
  keyOf: (record: R) => string,
  encode: (record: R) => string | Uint8Array,
): readonly KeyRecord[] {
  const record = object && convert(object);
  return record ? [{ key: keyOf(record), value: encode(record) }] : [];
}
