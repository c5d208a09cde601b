import type { Clock } from '../../../runtime/clock/index.ts';
import {
  InvalidRequestError,
  type KeyValue,
  type OperationResult,
  PermissionDeniedError,
  type Transaction,
  type TransactionResult,
  UnavailableError,
} from '../../contract/index.ts';
import { bytesOf, toKeyValue, versionOf } from '../entry.ts';
import type { ConsulHttp } from '../http/index.ts';
import type { JournalWriter } from '../journal/index.ts';
import { type ReadSettings, keysUnder } from '../read.ts';
import { type State, compileAgainst, compileDirectly } from './compile.ts';
import { holds } from './conditions.ts';
import { type Condition, type Prepared, type Step, maxOperations, maxValueBytes, prepare } from './prepare.ts';
import { type Outcome, type WireOperation, put, readKeys, sizeOf, submit } from './wire.ts';

export interface TransactDependencies {
  readonly http: ConsulHttp;
  readonly clock: Clock;
  readonly random: () => number;
  readonly timeoutMs: number;
  /** Absent: our writes are not told beside. */
  readonly journal: JournalWriter | undefined;
}

/**
 * A transaction of the contract. What Consul's verbs can say goes out at once. Any other is read, decided here, and
 * written under checks that everything is still as it was read; if it is not, all over again.
 */
export async function transact(
  deps: TransactDependencies,
  transaction: Transaction,
  settings: ReadSettings,
): Promise<TransactionResult> {
  const { http, clock, random } = deps;
  settings.signal?.throwIfAborted();
  http.closing.throwIfAborted();
  const prepared = prepare(transaction);
  const direct = compileDirectly(prepared);
  if (direct && sizeOf(direct) <= maxValueBytes) {
    const done = await write(deps, direct, prepared.then, new Map(), settings);
    if (done) return { ...done, succeeded: true };
  }
  const deadlineMs = clock.monotonicMs() + deps.timeoutMs;
  for (let attempt = 1; ; attempt++) {
    const result = await attemptOnce(deps, prepared, settings);
    if (result) return result;
    if (clock.monotonicMs() > deadlineMs)
      throw new UnavailableError(`Cannot ${settings.what}: its keys change all the time`);
    await clock.sleep(Math.min(50, attempt) * random(), settings.signal);
  }
}

/** Undefined when something changed between reading and writing. */
async function attemptOnce(
  deps: TransactDependencies,
  prepared: Prepared,
  settings: ReadSettings,
): Promise<TransactionResult | undefined> {
  const { when, then, otherwise } = prepared;
  const keys = [...new Set([...when, ...then, ...otherwise].map(({ key }) => key))];
  if (keys.length > maxOperations)
    throw new InvalidRequestError(
      `Cannot ${settings.what}: it looks at ${keys.length} keys, Consul at ${maxOperations}`,
    );
  const state: State = keys.length === 0 ? new Map() : await readKeys(deps.http, keys, settings);
  const failing = when.find(({ key, compare }) => !holds(compare, state.get(key)));
  const steps = failing ? otherwise : then;
  const guards = new Set(failing ? [failing.key] : when.map(({ key }) => key));
  const succeeded = failing === undefined;
  const { operations, release } = compileAgainst(state, steps, guards);
  if (steps.every(({ type, key }) => type === 'get' || (type === 'delete' && !state.get(key))))
    return { succeeded, revision: deps.http.revision, results: resultsOf(steps, state, 0) };
  const required = new Set(failing ? [] : when.filter(isLostByLettingGo).map(({ key }) => key));
  if (release.length > 0 && !release.some((key) => required.has(key))) {
    await letGo(deps, state, release, settings);
    return undefined;
  }
  if (operations.length > maxOperations)
    throw new InvalidRequestError(
      `Cannot ${settings.what}: with its conditions it needs ${operations.length} of Consul's ${maxOperations} operations`,
    );
  const done = await write(deps, operations, steps, state, settings);
  return done && { ...done, succeeded };
}

/** Letting a key go of its lease is a write: what the caller asked of it would not hold any more, through us alone. */
function isLostByLettingGo({ compare: { target } }: Condition): boolean {
  return target === 'mod' || target === 'lease' || target === 'version';
}

async function write(
  deps: TransactDependencies,
  operations: readonly WireOperation[],
  steps: readonly Step[],
  state: State,
  settings: ReadSettings,
): Promise<Pick<TransactionResult, 'revision' | 'results'> | undefined> {
  const { outcome, noted } = await submitNoted(deps, operations, steps, state, settings);
  if (!outcome.committed) return undefined;
  const put = new Set(steps.flatMap((step) => (step.type === 'put' ? [step.key] : [])));
  const indexes = outcome.results.flatMap((entry) => (put.has(entry.Key) ? [entry.ModifyIndex] : []));
  let revision = Math.max(0, ...indexes);
  if (indexes.length === 0) {
    // Of a deletion Consul says nothing; what was written beside it tells, or else the tombstone.
    const beside = outcome.results.find((entry) => entry.Key === noted);
    if (beside) revision = beside.ModifyIndex;
  }
  if (revision === 0) {
    const gone = steps.findLast(({ type }) => type === 'delete');
    revision = gone ? (await keysUnder(deps.http, gone.key, settings)).index : deps.http.revision;
  }
  deps.http.saw(revision);
  return { revision, results: resultsOf(steps, state, revision) };
}

/** Submits operations and, where there is room, tells the journal of them in the same transaction. */
async function submitNoted(
  deps: TransactDependencies,
  operations: readonly WireOperation[],
  steps: readonly Step[],
  state: State,
  settings: ReadSettings,
): Promise<{ readonly outcome: Outcome; readonly noted?: string }> {
  const { http, journal } = deps;
  const writes = steps.filter(
    (step) =>
      step.type === 'put' || (step.type === 'delete' && (state.size === 0 || state.get(step.key) !== undefined)),
  );
  const notes = journal?.notesOf(writes) ?? [];
  const beside = notes.map(({ key, text }): WireOperation => ({ Verb: 'set', ...put(key, Buffer.from(text)) }));
  const together = [...operations, ...beside];
  const [first] = notes;
  if (first && together.length <= maxOperations && sizeOf(together) <= maxValueBytes)
    try {
      return { outcome: await submit(http, together, settings), noted: first.key };
    } catch (error) {
      const refused = error instanceof PermissionDeniedError && journal?.refusedBy(notes, error.message);
      if (!refused) throw error;
    }
  return { outcome: await submit(http, operations, settings) };
}

/** Takes keys from the lease that holds them, with the values that they have. */
async function letGo(
  deps: TransactDependencies,
  state: State,
  keys: readonly string[],
  settings: ReadSettings,
): Promise<void> {
  let part: WireOperation[] = [];
  const flush = async (): Promise<void> => {
    // If one was taken meanwhile, the caller reads again and sees.
    if (part.length > 0) await submit(deps.http, part, settings);
    part = [];
  };
  for (const key of keys) {
    const entry = state.get(key);
    if (!entry?.Session) continue;
    const operation: WireOperation = { Verb: 'unlock', Session: entry.Session, ...put(key, bytesOf(entry.Value)) };
    if (part.length >= maxOperations || sizeOf([...part, operation]) > maxValueBytes) await flush();
    part.push(operation);
  }
  await flush();
}

/** The results in the order of the steps; a get sees the writes before it. */
function resultsOf(steps: readonly Step[], state: State, revision: number): OperationResult[] {
  const written = new Map<string, KeyValue | undefined>();
  const current = (key: string): KeyValue | undefined => {
    if (written.has(key)) return written.get(key);
    const entry = state.get(key);
    return entry && toKeyValue(entry);
  };
  return steps.map((step): OperationResult => {
    if (step.type === 'get') return { type: 'get', entry: current(step.key) };
    // Without a state every delete was of a key that a check had found.
    const before = state.size === 0 || state.get(step.key) !== undefined;
    if (step.type === 'delete') {
      written.set(step.key, undefined);
      return { type: 'delete', deleted: before ? 1 : 0 };
    }
    const createRevision = state.get(step.key)?.CreateIndex ?? revision;
    written.set(step.key, {
      key: new TextEncoder().encode(step.key),
      value: step.value,
      createRevision,
      modRevision: revision,
      version: versionOf(createRevision, revision),
      lease: step.lease,
    });
    return { type: 'put' };
  });
}
