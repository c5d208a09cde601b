import { type Logger, fields } from '../../runtime/log/index.ts';
import { FieldError } from '../manifests/field-reader.ts';
import { normaliseObject } from '../manifests/normalise.ts';
import { subjectOf } from '../manifests/subject.ts';
import type { KubernetesEvent, KubernetesKind, KubernetesObject } from '../objects/index.ts';
import type { Unread } from './unread.ts';
import { UnreadableChangeError, type WatchChange } from './watch.ts';

interface Named {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
}

/**
 * Which objects of a kind were handed over, and in which version: names only, the objects are their reader's. It turns
 * listings and changes into events. An object that is not what the API promises is left out and named; the version that
 * was accepted before stays.
 */
export class KnownOfKind {
  readonly #kind: KubernetesKind;
  readonly #unread: Unread;
  readonly #log: Logger;
  /** The resourceVersion of each. */
  readonly #known = new Map<string, string>();
  #seen = new Set<string>();

  constructor(kind: KubernetesKind, unread: Unread, log: Logger) {
    this.#kind = kind;
    this.#unread = unread;
    this.#log = log;
  }

  beginListing(): void {
    this.#seen = new Set();
  }

  /** What a page tells that was not known. */
  listed(items: readonly unknown[]): readonly KubernetesEvent[] {
    return items.flatMap((raw) => {
      const named = this.#nameOf(raw);
      this.#seen.add(named.id);
      if (this.#known.get(named.id) === named.resourceVersion) return [];
      return this.#take(raw, named);
    });
  }

  /** What the whole listing lacks. */
  endListing(): readonly KubernetesEvent[] {
    const gone = [...this.#known.keys()].filter((id) => !this.#seen.has(id));
    for (const id of gone) this.#known.delete(id);
    this.#unread.keepOnly(this.#kind, this.#seen);
    this.#seen = new Set();
    return gone.map((id) => this.#deleted(id));
  }

  /** @returns events, and the resourceVersion reached. */
  changed(batch: readonly WatchChange[]): { events: readonly KubernetesEvent[]; resourceVersion: string | undefined } {
    const events: KubernetesEvent[] = [];
    let resourceVersion: string | undefined;
    for (const { type, object } of batch) {
      if (type === 'BOOKMARK') {
        resourceVersion = textOf(metadataOf(object), 'resourceVersion') ?? resourceVersion;
        continue;
      }
      const named = this.#nameOf(object);
      ({ resourceVersion } = named);
      if (type === 'DELETED') {
        this.#unread.objectIsRead(this.#kind, named.id);
        if (this.#known.delete(named.id)) events.push(this.#deleted(named.id));
      } else events.push(...this.#take(object, named));
    }
    return { events, resourceVersion };
  }

  #take(raw: unknown, { id, resourceVersion }: Named): readonly KubernetesEvent[] {
    this.#known.set(id, resourceVersion);
    try {
      const object = this.#normalised(raw);
      this.#unread.objectIsRead(this.#kind, id);
      return [{ type: 'upsert', object }];
    } catch (error) {
      if (!(error instanceof FieldError)) throw error;
      if (!this.#unread.has(this.#kind, id))
        this.#log.warn('A Kubernetes object was skipped', { object: `${this.#kind} ${id}`, [fields.error]: error });
      this.#unread.object(this.#kind, id, subjectOf(raw, '', error) ?? { kind: this.#kind }, error.message);
      return [];
    }
  }

  #normalised(raw: unknown): KubernetesObject {
    const normalised = normaliseObject(raw);
    if (normalised.type === 'object' && normalised.object.kind === this.#kind) return normalised.object;
    throw new FieldError('kind', this.#kind, (raw as { kind?: unknown }).kind);
  }

  #deleted(id: string): KubernetesEvent {
    const slash = id.indexOf('/');
    return { type: 'delete', kind: this.#kind, namespace: id.slice(0, slash), name: id.slice(slash + 1) };
  }

  #nameOf(raw: unknown): Named {
    const metadata = metadataOf(raw);
    const name = textOf(metadata, 'name');
    const resourceVersion = textOf(metadata, 'resourceVersion');
    if (name === undefined || resourceVersion === undefined)
      throw new UnreadableChangeError(`A ${this.#kind} without name or resourceVersion`);
    const namespace = textOf(metadata, 'namespace') ?? '';
    return { id: `${namespace}/${name}`, namespace, name, resourceVersion };
  }
}

function metadataOf(raw: unknown): unknown {
  return (raw as { metadata?: unknown } | null)?.metadata;
}

function textOf(metadata: unknown, member: string): string | undefined {
  const value = (metadata as Record<string, unknown> | null | undefined)?.[member];
  return typeof value === 'string' && value !== '' ? value : undefined;
}
