import { Random } from '../../../../runtime/random/index.ts';
import { ObservedServer } from './observed.ts';
import { featuresOf } from './features.ts';
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
  /** How often each option and shape was asked for, and how often the whole request succeeded then. */
  readonly features: Readonly<Record<string, { readonly done: number; readonly ok: number }>>;
  readonly watchEvents: number;
}

/** Does the same random operations to two servers, one by one, and compares all that comes back. */
export async function compareServers(
  ports: { readonly theirs: number; readonly ours: number },
  options: {
    readonly seed: number;
    readonly operations: number;
    readonly stopAfter?: number;
    readonly expiries?: number;
  },
): Promise<Comparison> {
  await using theirs = new ObservedServer(ports.theirs);
  await using ours = new ObservedServer(ports.ours);
  const random = new Random(options.seed);
  const known: Known = { revision: 1, compactRevision: 0, awaited: 0 };
  const differences: Difference[] = [];
  const coverage: Record<string, { done: number; ok: number }> = {};
  const features: Record<string, { done: number; ok: number }> = {};
  let watchEvents = 0;

  const both = async (operation: Operation, step: number): Promise<void> => {
    const [a, b] = await Promise.all([theirs.apply(operation), ours.apply(operation)]);
    if (!same(a.answer, b.answer)) differences.push({ step, operation, theirs: a.answer, ours: b.answer });
    count(coverage, operation.kind, a.ok);
    for (const feature of featuresOf(operation, known)) count(features, feature, a.ok);
    known.revision = Math.max(known.revision, a.revision);
    if (operation.kind === 'watch') known.awaited = Math.max(known.awaited, operation.request.startRevision ?? 0);
    if (operation.kind === 'compact' && a.ok) known.compactRevision = operation.request.revision ?? 0;
  };
  const compareWatches = async (step: number): Promise<void> => {
    // A write first, so that no watch waits for a revision yet to come: then etcd reports no progress.
    const sync: Operation = { kind: 'put', request: { key: Buffer.from('sync'), value: Buffer.from(String(step)) } };
    do await both(sync, step);
    while (known.revision < known.awaited);
    const [a, b] = await Promise.all([theirs.watched(known.revision), ours.watched(known.revision)]);
    for (const id of new Set([...Object.keys(a), ...Object.keys(b)]))
      if (!same(a[id], b[id])) differences.push({ step, operation: sync, theirs: { id, told: a[id] }, ours: b[id] });
    watchEvents = Object.values(a).reduce((sum, lines) => sum + lines.length, 0);
  };

  /** A lease runs out with some keys, one of which was given to another lease in time; only what is left is compared. */
  const expire = async (step: number): Promise<void> => {
    const [dying, living] = [BigInt(2000 + step), BigInt(3000 + step)];
    const put = async (key: string, lease: bigint): Promise<void> => {
      // On a busy machine it could run out on one of them before all keys are there.
      await both({ kind: 'keep-alive', request: { id: dying } }, step);
      await both({ kind: 'put', request: { key: Buffer.from(key), value: Buffer.from('x'), lease } }, step);
    };
    await both({ kind: 'grant', request: { id: dying, ttl: 3 } }, step);
    await both({ kind: 'grant', request: { id: living, ttl: 3600 } }, step);
    for (const key of ['x1', 'x2', 'x3']) await put(key, dying);
    await put('x2', living);
    const span = { key: Buffer.from('x'), rangeEnd: Buffer.from('y') };
    const [a, b] = await Promise.all([theirs.untilExpired(dying, span), ours.untilExpired(dying, span)]);
    const operation: Operation = { kind: 'range', request: span };
    if (!same(a, b)) differences.push({ step, operation, theirs: a, ours: b });
    known.revision += 1;
    count(features, 'lease: runs out', true);
  };

  const expireEvery = options.expiries ? Math.ceil(options.operations / options.expiries) : Infinity;
  for (let step = 0; step < options.operations && differences.length < (options.stopAfter ?? 5); step++) {
    const operation = randomOperation(random, known);
    // What a watch is told around these depends on how far it has come.
    const settles = ['compact', 'watch', 'cancel-watch'].includes(operation.kind);
    if (settles) await compareWatches(step);
    await both(operation, step);
    if (settles) await compareWatches(step);
    if (step % expireEvery === expireEvery - 1) {
      await expire(step);
      await compareWatches(step);
    }
  }
  await compareWatches(options.operations);
  return { differences, coverage, features, watchEvents };
}

function count(counts: Record<string, { done: number; ok: number }>, name: string, ok: boolean): void {
  const counted = (counts[name] ??= { done: 0, ok: 0 });
  counted.done += 1;
  if (ok) counted.ok += 1;
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
