import { type ProblemSubject, isClusterScoped } from '../objects/index.ts';
import { FieldError } from './field-reader.ts';

/**
 * What a raw object that could not be taken in describes, as far as the error leaves that certain: where metadata are at
 * fault its kind only, where the kind is, nothing.
 */
export function subjectOf(raw: unknown, path: string, cause: unknown): ProblemSubject | undefined {
  if (!(cause instanceof FieldError)) return undefined;
  const field = path !== '' && cause.field.startsWith(`${path}.`) ? cause.field.slice(path.length + 1) : cause.field;
  const kind = memberOf(raw, 'kind');
  if (typeof kind !== 'string' || kind === '' || kind.endsWith('List') || field === 'kind') return undefined;
  const name = memberOf(memberOf(raw, 'metadata'), 'name');
  const namespace = memberOf(memberOf(raw, 'metadata'), 'namespace') ?? 'default';
  if (typeof name !== 'string' || typeof namespace !== 'string' || field.startsWith('metadata')) return { kind };
  return { kind, name, namespace: isClusterScoped(kind) ? '' : namespace };
}

function memberOf(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name] ?? undefined;
}
