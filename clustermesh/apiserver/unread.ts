import { type KubernetesKind, type SourceProblem, mayDescribe } from '../../kubernetes/index.ts';
import { serviceNameOf } from './convert/local-service.ts';
import type { KnownObjects } from './known-objects.ts';
import { namespaceOfUnit } from './records-of.ts';
import { type Unit, anyName, needs } from './units.ts';

/**
 * What the source could not read, and what may therefore exist although no event names it. Nothing that an earlier life
 * published of it may be taken away, and nothing that it might forbid may be exported.
 */
export class Unread {
  readonly #objects: KnownObjects;
  readonly #problems: () => readonly SourceProblem[];

  constructor(objects: KnownObjects, problems: () => readonly SourceProblem[]) {
    this.#objects = objects;
    this.#problems = problems;
  }

  get any(): boolean {
    return this.#problems().length > 0;
  }

  /** True when the unit's object is not known, and may be in what could not be read. */
  hides({ kind, namespace, name }: Unit): boolean {
    const [own] = needs[kind];
    return name === anyName ? mayDescribe(this.#problems(), { kind: own }) : this.#hidesObject(own, namespace, name);
  }

  hidesNamespace(namespace: string): boolean {
    return this.#hidesObject('Namespace', '', namespace);
  }

  /** The namespace that decides on the unit's export. */
  hidesNamespaceOf(unit: Unit): boolean {
    const namespace = namespaceOfUnit(unit, this.#objects);
    return namespace !== undefined && this.hidesNamespace(namespace);
  }

  /** The Service that decides on the export of a slice or of a ServiceExport. */
  hidesServiceOf({ kind, namespace, name }: Unit): boolean {
    if (kind === 'export') return this.#hidesObject('Service', namespace, name);
    if (kind !== 'slice') return false;
    const slice = this.#objects.get('EndpointSlice', namespace, name);
    const service = slice && serviceNameOf(slice);
    return service !== undefined && this.#hidesObject('Service', namespace, service);
  }

  /** Slices that may name backends of a shared Service. */
  hidesSlicesOf({ kind, namespace }: Unit): boolean {
    return kind === 'shared' && mayDescribe(this.#problems(), { kind: 'EndpointSlice', namespace });
  }

  /** Whether what a unit follows from is still not known completely. */
  leavesOpen(unit: Unit): boolean {
    return this.hides(unit) || this.hidesNamespaceOf(unit) || this.hidesServiceOf(unit) || this.hidesSlicesOf(unit);
  }

  #hidesObject(kind: KubernetesKind, namespace: string, name: string): boolean {
    return !this.#objects.get(kind, namespace, name) && mayDescribe(this.#problems(), { kind, namespace, name });
  }
}
