import { CoalescingQueue } from '../../runtime/queue/index.ts';
import { isAbort } from '../../runtime/tasks/index.ts';
import { objectId } from '../manifests/collect.ts';
import {
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesObject,
  type KubernetesSource,
  kubernetesKinds,
} from '../objects/index.ts';

/**
 * Objects held in memory, handed to any number of watchers: what a scheduler or a test fills. A slow watcher misses
 * intermediate states of an object, never its last one.
 */
export class MemorySource implements KubernetesSource {
  readonly description: string;
  readonly kinds: readonly KubernetesKind[];
  readonly #objects = new Map<string, KubernetesObject>();
  readonly #synced = new Set<KubernetesKind>();
  readonly #watchers = new Set<CoalescingQueue<string, KubernetesEvent>>();

  /** @param kinds what is followed: those of mode `kubernetes` unless told. Objects of others must not be set. */
  constructor(description = 'memory', kinds: readonly KubernetesKind[] = kubernetesKinds) {
    this.description = description;
    this.kinds = kinds;
  }

  get size(): number {
    return this.#objects.size;
  }

  objects(): Iterable<KubernetesObject> {
    return this.#objects.values();
  }

  get<K extends KubernetesKind>(
    kind: K,
    namespace: string,
    name: string,
  ): Extract<KubernetesObject, { readonly kind: K }> | undefined {
    return this.#objects.get(objectId(kind, namespace, name)) as
      | Extract<KubernetesObject, { readonly kind: K }>
      | undefined;
  }

  /** @throws {RangeError} for a kind that is not followed. */
  set(object: KubernetesObject): void {
    if (!this.kinds.includes(object.kind))
      throw new RangeError(`${this.description} follows ${this.kinds.join(', ')}, not ${object.kind}`);
    const id = objectId(object.kind, object.metadata.namespace, object.metadata.name);
    this.#objects.set(id, object);
    for (const watcher of this.#watchers) watcher.set(id, { type: 'upsert', object });
  }

  delete(kind: KubernetesKind, namespace: string, name: string): void {
    const id = objectId(kind, namespace, name);
    if (!this.#objects.delete(id)) return;
    for (const watcher of this.#watchers) watcher.set(id, { type: 'delete', kind, namespace, name });
  }

  /** Says that every object of these kinds (of all, unless told) has been set; a watcher learns it after them. */
  markSynced(kinds: readonly KubernetesKind[] = this.kinds): void {
    for (const kind of kinds) {
      if (this.#synced.has(kind)) continue;
      this.#synced.add(kind);
      for (const watcher of this.#watchers) watcher.set(`synced/${kind}`, { type: 'synced', kind });
    }
  }

  async *watch(signal: AbortSignal): AsyncGenerator<KubernetesEvent, void, void> {
    const queue = new CoalescingQueue<string, KubernetesEvent>();
    for (const [id, object] of this.#objects) queue.set(id, { type: 'upsert', object });
    for (const kind of this.#synced) queue.set(`synced/${kind}`, { type: 'synced', kind });
    this.#watchers.add(queue);
    try {
      for (;;) {
        await queue.ready(signal);
        for (const [, event] of queue.take(256)) yield event;
      }
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
    } finally {
      this.#watchers.delete(queue);
    }
  }
}
