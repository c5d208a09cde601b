import {
  type EndpointSlice,
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesObject,
  objectId,
} from '../../kubernetes/index.ts';
import { namespaceOfIdentity } from './convert/cilium-identity.ts';
import { serviceNameOf } from './convert/local-service.ts';
import type { Unit } from './units.ts';

/** Kubernetes' well-known label for Services that another implementation serves. */
const proxyNameLabel = 'service.kubernetes.io/service-proxy-name';

/**
 * The objects of a source as they are now. Applying an event gives the units that have to be looked at again; nothing
 * else is remembered of events, so that their order does not matter.
 */
export class KnownObjects {
  readonly #objects = new Map<string, KubernetesObject>();
  /** Slices by `<ns>/<service>`. */
  readonly #slices = new Index<EndpointSlice>();
  /** Objects whose export their namespace decides on, by namespace. */
  readonly #inNamespace = new Index<KubernetesObject>();
  readonly #synced = new Set<KubernetesKind>();
  /** Objects that the watch which is running has not named yet; gone when it says `synced`. */
  #unseen = new Map<string, KubernetesObject>();

  get<K extends KubernetesKind>(
    kind: K,
    namespace: string,
    name: string,
  ): Extract<KubernetesObject, { readonly kind: K }> | undefined {
    return this.#objects.get(objectId(kind, namespace, name)) as
      | Extract<KubernetesObject, { readonly kind: K }>
      | undefined;
  }

  *all<K extends KubernetesKind>(kind: K): Generator<Extract<KubernetesObject, { readonly kind: K }>> {
    for (const object of this.#objects.values())
      if (object.kind === kind) yield object as Extract<KubernetesObject, { readonly kind: K }>;
  }

  slicesOf(namespace: string, service: string): EndpointSlice[] {
    return this.#slices.under(`${namespace}/${service}`);
  }

  /** Whether every object of a kind has been handed over at least once. */
  isSynced(kind: KubernetesKind): boolean {
    return this.#synced.has(kind);
  }

  /** A watch begins anew: what it does not name until `synced` is gone. */
  restart(): void {
    this.#unseen = new Map(this.#objects);
  }

  apply(event: KubernetesEvent): Unit[] {
    switch (event.type) {
      case 'upsert': {
        const { kind, metadata } = event.object;
        if (isOfAnotherProxy(event.object)) return this.#remove(objectId(kind, metadata.namespace, metadata.name));
        return this.#upsert(event.object);
      }
      case 'delete':
        return this.#remove(objectId(event.kind, event.namespace, event.name));
      case 'synced': {
        const units: Unit[] = [];
        for (const [id, object] of this.#unseen) if (object.kind === event.kind) units.push(...this.#remove(id));
        this.#synced.add(event.kind);
        return units;
      }
    }
  }

  #upsert(object: KubernetesObject): Unit[] {
    const id = objectId(object.kind, object.metadata.namespace, object.metadata.name);
    const before = this.#objects.get(id);
    this.#unseen.delete(id);
    this.#objects.set(id, object);
    if (before) this.#unindex(id, before);
    this.#index(id, object);
    return [...(before ? this.#touchedBy(before) : []), ...this.#touchedBy(object)];
  }

  #remove(id: string): Unit[] {
    const before = this.#objects.get(id);
    this.#unseen.delete(id);
    if (!before) return [];
    this.#objects.delete(id);
    this.#unindex(id, before);
    return this.#touchedBy(before);
  }

  #index(id: string, object: KubernetesObject): void {
    if (object.kind === 'EndpointSlice') this.#slices.add(serviceIdOf(object), id, object);
    this.#inNamespace.add(decidingNamespaceOf(object), id, object);
  }

  #unindex(id: string, object: KubernetesObject): void {
    if (object.kind === 'EndpointSlice') this.#slices.delete(serviceIdOf(object), id);
    this.#inNamespace.delete(decidingNamespaceOf(object), id);
  }

  #touchedBy(object: KubernetesObject): Unit[] {
    const { namespace, name } = object.metadata;
    switch (object.kind) {
      case 'Service':
        return [
          { kind: 'Service', namespace, name },
          { kind: 'shared', namespace, name },
          { kind: 'export', namespace, name },
          ...this.slicesOf(namespace, name).map(({ metadata }): Unit => ({
            kind: 'slice',
            namespace,
            name: metadata.name,
          })),
        ];
      case 'EndpointSlice': {
        const service = serviceNameOf(object);
        const own: Unit[] = [
          { kind: 'EndpointSlice', namespace, name },
          { kind: 'slice', namespace, name },
        ];
        return service === undefined ? own : [...own, { kind: 'shared', namespace, name: service }];
      }
      case 'ServiceExport':
        return [{ kind: 'export', namespace, name }];
      case 'Namespace':
        return [
          { kind: 'Namespace', namespace, name },
          ...this.#inNamespace.under(name).flatMap((inside) => exportedUnitOf(inside) ?? []),
        ];
      case 'Node':
      case 'Pod':
      case 'NetworkPolicy':
      case 'CiliumNode':
      case 'CiliumIdentity':
      case 'CiliumEndpoint':
      case 'CiliumEndpointSlice':
        return [{ kind: object.kind, namespace, name }];
    }
  }
}

/**
 * Services, and slices, that are labelled for another proxy are none to us, as to kube-proxy and Cilium (whose apiserver and agents leave
 * them out of what they list, with the label's value whatever it is).
 */
function isOfAnotherProxy({ kind, metadata }: KubernetesObject): boolean {
  return (kind === 'Service' || kind === 'EndpointSlice') && Object.hasOwn(metadata.labels, proxyNameLabel);
}

/** The namespace that decides whether something is exported; nothing for what never depends on one. */
function decidingNamespaceOf(object: KubernetesObject): string | undefined {
  if (object.kind === 'CiliumIdentity') return namespaceOfIdentity(object);
  if (object.kind === 'CiliumEndpointSlice') return object.namespace;
  return exportedUnitOf(object) && object.metadata.namespace;
}

/** The unit of an object on which its namespace decides. */
function exportedUnitOf(object: KubernetesObject): Unit | undefined {
  const { namespace, name } = object.metadata;
  switch (object.kind) {
    case 'Service':
      return { kind: 'shared', namespace, name };
    case 'EndpointSlice':
      return { kind: 'slice', namespace, name };
    case 'ServiceExport':
      return { kind: 'export', namespace, name };
    case 'Pod':
    case 'CiliumIdentity':
    case 'CiliumEndpoint':
    case 'CiliumEndpointSlice':
      return { kind: object.kind, namespace, name };
    case 'Namespace':
    case 'Node':
    case 'CiliumNode':
    case 'NetworkPolicy':
      return undefined;
  }
}

function serviceIdOf(slice: EndpointSlice): string | undefined {
  const service = serviceNameOf(slice);
  return service === undefined ? undefined : `${slice.metadata.namespace}/${service}`;
}

/** Values by id, found by a text that several of them share. */
class Index<T> {
  readonly #groups = new Map<string, Map<string, T>>();

  under(text: string): T[] {
    return [...(this.#groups.get(text)?.values() ?? [])];
  }

  add(text: string | undefined, id: string, value: T): void {
    if (text === undefined) return;
    const group = this.#groups.get(text);
    if (group) group.set(id, value);
    else this.#groups.set(text, new Map([[id, value]]));
  }

  delete(text: string | undefined, id: string): void {
    if (text === undefined) return;
    const group = this.#groups.get(text);
    group?.delete(id);
    if (group?.size === 0) this.#groups.delete(text);
  }
}
