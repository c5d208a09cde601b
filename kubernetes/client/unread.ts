import type { KubernetesKind, ProblemSubject, SourceProblem } from '../objects/index.ts';

/** What could not be read of an API server: whole kinds, and single objects that are not what the API promises. */
export class Unread {
  readonly #kinds = new Map<KubernetesKind, SourceProblem>();
  /** By kind, then by `<namespace>/<name>`; what cannot be named is under the empty text. */
  readonly #objects = new Map<KubernetesKind, Map<string, SourceProblem>>();

  problems(): readonly SourceProblem[] {
    return [...this.#kinds.values(), ...[...this.#objects.values()].flatMap((objects) => [...objects.values()])];
  }

  /** Of these nothing at all can be read at present. */
  kinds(): readonly SourceProblem[] {
    return [...this.#kinds.values()];
  }

  /** @param resource as in messages of Kubernetes */
  kind(kind: KubernetesKind, resource: string, reason: string): void {
    this.#kinds.set(kind, { object: resource, reason, about: { kind } });
  }

  kindIsRead(kind: KubernetesKind): void {
    this.#kinds.delete(kind);
  }

  object(kind: KubernetesKind, id: string, about: ProblemSubject, reason: string): void {
    const objects = this.#objects.get(kind) ?? new Map<string, SourceProblem>();
    this.#objects.set(kind, objects);
    objects.set(id, { object: `${kind} ${id}`, reason, about });
  }

  has(kind: KubernetesKind, id: string): boolean {
    return this.#objects.get(kind)?.has(id) === true;
  }

  objectIsRead(kind: KubernetesKind, id: string): void {
    this.#objects.get(kind)?.delete(id);
  }

  /** A complete listing lacks all but these. */
  keepOnly(kind: KubernetesKind, seen: ReadonlySet<string>): void {
    const objects = this.#objects.get(kind);
    if (objects) for (const id of objects.keys()) if (!seen.has(id)) objects.delete(id);
  }
}
