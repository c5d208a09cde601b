import {
  type ApiServer,
  type KubernetesEvent,
  type KubernetesKind,
  type KubernetesObject,
  type KubernetesSource,
  kubernetesSource,
  objectId,
} from '../../kubernetes/index.ts';
import { systemClock } from '../../runtime/clock/index.ts';

/** The state of a cluster as a source tells it. */
export class SourceMirror implements AsyncDisposable {
  readonly source: KubernetesSource;
  readonly objects = new Map<string, KubernetesObject>();
  readonly synced = new Set<KubernetesKind>();
  readonly deleted: string[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;

  constructor(api: ApiServer, followed: readonly KubernetesKind[], pageSize?: number) {
    this.source = kubernetesSource({
      api,
      kinds: followed,
      clock: systemClock,
      schedule: (failures) => Math.min(1_000, failures * 20),
      ...(pageSize === undefined ? {} : { pageSize }),
    });
    this.#done = this.#follow();
  }

  get isSynced(): boolean {
    return this.source.kinds.every((kind) => this.synced.has(kind));
  }

  has(kind: KubernetesKind, namespace: string, name: string): boolean {
    return this.objects.has(objectId(kind, namespace, name));
  }

  problem(): string {
    return (this.source.problems?.() ?? []).map(({ object, reason }) => `${object}: ${reason}`).join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #follow(): Promise<void> {
    for await (const event of this.source.watch(this.#stop.signal)) this.#apply(event);
  }

  #apply(event: KubernetesEvent): void {
    if (event.type === 'synced') this.synced.add(event.kind);
    else if (event.type === 'upsert') {
      const { kind, metadata } = event.object;
      this.objects.set(objectId(kind, metadata.namespace, metadata.name), event.object);
    } else {
      const id = objectId(event.kind, event.namespace, event.name);
      this.objects.delete(id);
      this.deleted.push(id);
    }
  }
}
