import { FieldReader } from '../manifests/field-reader.ts';
import { normaliseObject } from '../manifests/normalise.ts';
import { toManifest } from '../manifests/to-manifest.ts';
import { type KubernetesEvent, type KubernetesKind, isKubernetesKind } from '../objects/index.ts';

/** First line of every stream; a reader refuses another format. */
export const format = 'isthmus-objects/v1';

/** A line is one event; a longer one is an error of the sender. */
export const maxLineBytes = 8 * 1024 * 1024;

export function helloLine(description: string): string {
  return `${JSON.stringify({ type: 'hello', format, source: description })}\n`;
}

/** One event as a line of JSON; objects are in the form of Kubernetes' API. */
export function eventLine(event: KubernetesEvent): string {
  const line = event.type === 'upsert' ? { type: 'upsert', object: toManifest(event.object) } : event;
  return `${JSON.stringify(line)}\n`;
}

export type Line =
  | { readonly type: 'hello'; readonly source: string }
  | { readonly type: 'event'; readonly event: KubernetesEvent }
  /** An object of a kind that plays no role here. */
  | { readonly type: 'ignored' };

/** @throws {SyntaxError} or a `FieldError` naming what is wrong. */
export function parseLine(text: string): Line {
  const line = new FieldReader(JSON.parse(text));
  switch (line.oneOf('type', ['hello', 'upsert', 'delete', 'synced'])) {
    case 'hello':
      line.oneOf('format', [format]);
      return { type: 'hello', source: line.text('source', '') };
    case 'upsert': {
      const normalised = normaliseObject(line.get('object'), 'object');
      if (normalised.type !== 'object') return { type: 'ignored' };
      return { type: 'event', event: { type: 'upsert', object: normalised.object } };
    }
    case 'delete': {
      const kind = kindOf(line);
      if (!kind) return { type: 'ignored' };
      const namespace = line.text('namespace', '');
      return { type: 'event', event: { type: 'delete', kind, namespace, name: line.text('name') } };
    }
    case 'synced': {
      const kind = kindOf(line);
      return kind ? { type: 'event', event: { type: 'synced', kind } } : { type: 'ignored' };
    }
  }
}

function kindOf(line: FieldReader): KubernetesKind | undefined {
  const kind = line.text('kind');
  return isKubernetesKind(kind) ? kind : undefined;
}
