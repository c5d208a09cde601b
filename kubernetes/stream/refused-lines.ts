import { subjectOf } from '../manifests/subject.ts';
import type { KubernetesEvent, KubernetesKind, ProblemSubject, SourceProblem } from '../objects/index.ts';

interface Refused {
  readonly problem: SourceProblem;
  readonly connection: number;
}

/**
 * Lines of a stream that made no valid object, by what they describe: those that describe nothing in particular count as
 * one, so that nonsense does not pile up. One is over when its object comes in a valid version or goes, or when a later
 * connection has listed everything without it.
 */
export class RefusedLines {
  readonly #kinds: readonly KubernetesKind[];
  readonly #refused = new Map<string, Refused>();
  #connection = 0;
  #listed = new Set<KubernetesKind>();

  constructor(kinds: readonly KubernetesKind[]) {
    this.#kinds = kinds;
  }

  problems(): readonly SourceProblem[] {
    return [...this.#refused.values()].map(({ problem }) => problem);
  }

  connect(): void {
    this.#connection += 1;
    this.#listed = new Set();
  }

  add(text: string, cause: unknown): void {
    const about = subjectOf(objectIn(text), 'object', cause);
    const reason = cause instanceof Error ? cause.message : String(cause);
    const problem = { object: `line of the stream${about ? ` about ${nameOf(about)}` : ''}`, reason };
    this.#refused.set(nameOf(about), {
      problem: about ? { ...problem, about } : problem,
      connection: this.#connection,
    });
  }

  replaced(event: Exclude<KubernetesEvent, { readonly type: 'synced' }>): void {
    const { kind, namespace, name } =
      event.type === 'upsert' ? { kind: event.object.kind, ...event.object.metadata } : event;
    this.#refused.delete(nameOf({ kind, namespace, name }));
  }

  /** The connection has listed a kind; after the last one only what it refused itself is left. */
  listed(kind: KubernetesKind): void {
    this.#listed.add(kind);
    if (this.#kinds.some((one) => !this.#listed.has(one))) return;
    for (const [id, { connection }] of this.#refused) if (connection < this.#connection) this.#refused.delete(id);
  }
}

function nameOf(about: ProblemSubject | undefined): string {
  if (!about) return '';
  return about.name === undefined ? about.kind : `${about.kind}/${about.namespace ?? ''}/${about.name}`;
}

function objectIn(text: string): unknown {
  try {
    const line: unknown = JSON.parse(text);
    return typeof line === 'object' && line !== null && 'object' in line ? line.object : undefined;
  } catch {
    return undefined;
  }
}
