import type { KubernetesKind, SourceProblem } from './objects.ts';

/** Some objects: one, those of a kind in a namespace, or all of a kind. */
export interface Subject {
  readonly kind: KubernetesKind;
  readonly namespace?: string;
  readonly name?: string;
}

/** Whether one of the problems may stand for such an object; a problem without subject may be anything. */
export function mayDescribe(problems: readonly SourceProblem[], subject: Subject): boolean {
  return problems.some(
    ({ about }) =>
      !about ||
      (about.kind === subject.kind && agree(about.namespace, subject.namespace) && agree(about.name, subject.name)),
  );
}

function agree(one: string | undefined, other: string | undefined): boolean {
  return one === undefined || other === undefined || one === other;
}
