import {
  type EndpointSlice,
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesObject,
  objectId,
} from '../../kubernetes/index.ts';
import { serviceNameOf } from './convert/local-service.ts';
import type { Unit } from './units.ts';

/**
 * The objects of a source as they are now. Applying an event gives the units that have to be looked at again; nothing
 * else is remembered of events, so that their order does not matter.
 */
export class KnownObjects {
  readonly #objects = new Map<string, KubernetesObject>();
  /** Slices by `<ns>/<service>`. */
  readonly #slices = new Map<string, Map<string, EndpointSlice>>();
  readonly #pods = new Map<string, Set<string>>();
  readonly #services = new Map<string, Set<string>>();
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
    return [...(this.#slices.get(`${namespace}/${service}`)?.values() ?? [])];
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
      case 'upsert':
        return this.#upsert(event.object);
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
    this.#unindex(id, before);
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
    const { namespace, name } = object.metadata;
    if (object.kind === 'EndpointSlice') {
      const service = serviceNameOf(object);
      if (service !== undefined) getOrAdd(this.#slices, `${namespace}/${service}`, () => new Map()).set(id, object);
    } else if (object.kind === 'Pod') getOrAdd(this.#pods, namespace, () => new Set()).add(name);
    else if (object.kind === 'Service') getOrAdd(this.#services, namespace, () => new Set()).add(name);
  }

  #unindex(id: string, object: KubernetesObject | undefined): void {
    if (!object) return;
    const { namespace, name } = object.metadata;
    if (object.kind === 'EndpointSlice') {
      const key = `${namespace}/${serviceNameOf(object)}`;
      const slices = this.#slices.get(key);
      slices?.delete(id);
      if (slices?.size === 0) this.#slices.delete(key);
    } else if (object.kind === 'Pod') this.#pods.get(namespace)?.delete(name);
    else if (object.kind === 'Service') this.#services.get(namespace)?.delete(name);
  }

  #touchedBy(object: KubernetesObject): Unit[] {
    const { namespace, name } = object.metadata;
    switch (object.kind) {
      case 'Service':
        return [
          { kind: 'Service', namespace, name },
          { kind: 'shared', namespace, name },
        ];
      case 'EndpointSlice': {
        const service = serviceNameOf(object);
        const own: Unit = { kind: 'EndpointSlice', namespace, name };
        return service === undefined ? [own] : [own, { kind: 'shared', namespace, name: service }];
      }
      case 'Namespace':
        return [
          { kind: 'Namespace', namespace, name },
          ...[...(this.#pods.get(name) ?? [])].map((pod): Unit => ({ kind: 'Pod', namespace: name, name: pod })),
          ...[...(this.#services.get(name) ?? [])].map((service): Unit => ({
            kind: 'shared',
            namespace: name,
            name: service,
          })),
        ];
      case 'Node':
      case 'Pod':
        return [{ kind: object.kind, namespace, name }];
      case 'ServiceExport':
      case 'NetworkPolicy':
      case 'CiliumNode':
      case 'CiliumIdentity':
      case 'CiliumEndpoint':
      case 'CiliumEndpointSlice':
        return [];
    }
  }
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, create: () => V): V {
  let value = map.get(key);
  if (value === undefined) {
    value = create();
    map.set(key, value);
  }
  return value;
}
