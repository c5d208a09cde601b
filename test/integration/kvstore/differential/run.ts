import { Random } from '../../../support/random.ts';
import { ObservedServer } from './observed.ts';
import { type Known, type Operation, randomOperation } from './operation.ts';

export interface Difference {
  /** Number of the operation, from 0; the watches are compared under the number of the operation before. */
  readonly step: number;
  readonly operation: Operation;
  readonly theirs: unknown;
  readonly ours: unknown;
}

export interface Comparison {
  readonly differences: readonly Difference[];
  /** Operations done and how many of them succeeded, by kind. */
  readonly coverage: Readonly<Record<string, { readonly done: number; readonly ok: number }>>;
  readonly watchEvents: number;
}

/** Does the same random operations to two servers, one by one, and compares all that comes back. */
export async function compareServers(
  ports: { readonly theirs: number; readonly ours: number },
  options: { readonly seed: number; readonly operations: number; readonly stopAfter?: number },
): Promise<Comparison> {
  await using theirs = new ObservedServer(ports.theirs);
  await using ours = new ObservedServer(ports.ours);
  const random = new Random(options.seed);
  const known: Known = { revision: 1, compactRevision: 0 };
  const differences: Difference[] = [];
  const coverage: Record<string, { done: number; ok: number }> = {};
  let watchEvents = 0;

  const both = async (operation: Operation, step: number): Promise<void> => {
    const [a, b] = await Promise.all([theirs.apply(operation), ours.apply(operation)]);
    if (!same(a.answer, b.answer)) differences.push({ step, operation, theirs: a.answer, ours: b.answer });
    const counted = (coverage[operation.kind] ??= { done: 0, ok: 0 });
    counted.done += 1;
    if (a.ok) counted.ok += 1;
    known.revision = Math.max(known.revision, a.revision);
    if (operation.kind === 'compact' && a.ok) known.compactRevision = operation.request.revision ?? 0;
  };
  const compareWatches = async (step: number): Promise<void> => {
    // A write first, so that no watch waits for a revision yet to come.
    const sync: Operation = { kind: 'put', request: { key: Buffer.from('sync'), value: Buffer.from(String(step)) } };
    await both(sync, step);
    const [a, b] = await Promise.all([theirs.watched(known.revision), ours.watched(known.revision)]);
    for (const id of new Set([...Object.keys(a), ...Object.keys(b)]))
      if (!same(a[id], b[id])) differences.push({ step, operation: sync, theirs: { id, told: a[id] }, ours: b[id] });
    watchEvents = Object.values(a).reduce((sum, lines) => sum + lines.length, 0);
  };

  for (let step = 0; step < options.operations && differences.length < (options.stopAfter ?? 5); step++) {
    const operation = randomOperation(random, known);
    // What a watch is told around these depends on how far it has come.
    const settles = ['compact', 'watch', 'cancel-watch'].includes(operation.kind);
    if (settles) await compareWatches(step);
    await both(operation, step);
    if (settles) await compareWatches(step);
  }
  await compareWatches(options.operations);
  return { differences, coverage, watchEvents };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
